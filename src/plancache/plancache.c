#include "core/compat.h"
#include "core/module.h"
const DbuModule dbu_plancache_module = {.name = "plancache"};
