#include "core/compat.h"
#include "core/module.h"
const DbuModule dbu_explain_module = {.name = "explain"};
