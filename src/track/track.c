#include "core/compat.h"
#include "core/module.h"
const DbuModule dbu_track_module = {.name = "track"};
