#include "core/compat.h"
#include "core/module.h"
const DbuModule dbu_bulk_module = {.name = "bulk"};
