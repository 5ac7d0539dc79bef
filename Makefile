# dbutil: the extension is built by PGXS; everything a person types beside
# make / make install / make installcheck is a script under tools/.
#
# The script goals never read PGXS, so that `make demo` and `make check` also
# start on a machine where PostgreSQL is not installed yet.

TOOL_GOALS = demo demo-stop check lint deps surface-accept freeze-release packages

ifneq (,$(filter $(TOOL_GOALS),$(MAKECMDGOALS)))

.PHONY: $(TOOL_GOALS)
$(TOOL_GOALS):
	@bash tools/$@.sh

else

EXTENSION = dbutil
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" dbutil.control)
MODULE_big = dbutil

# The order in which modules start and in which their install SQL is run.
MODULES_IN_ORDER = core track plancache prepared bulk explain health enroll

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard $(MODULES_IN_ORDER:%=src/%/*.c))))
INSTALL_SQL = dbutil--$(EXTVERSION).sql
DATA_built = $(INSTALL_SQL)
DATA = $(wildcard src/upgrade/dbutil--*--*.sql src/upgrade/releases/dbutil--*.sql)
DATA := $(filter-out src/upgrade/releases/$(INSTALL_SQL),$(DATA))

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=dbutil
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=dbutil
ifneq (,$(wildcard test/t/*.pl))
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
endif
EXTRA_CLEAN = $(INSTALL_SQL)

# PostgreSQL's headers count as system headers, so that our own code can be
# held to -Wextra. JIT bitcode would double the build for code never inlined.
PG_CONFIG ?= pg_config
PG_CPPFLAGS = -Isrc -isystem $(shell $(PG_CONFIG) --includedir-server) \
	-DDBUTIL_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-declaration-after-statement \
	-Wno-missing-variable-declarations
override with_llvm = no

# Our own functions call each other directly, not through a table for those who
# might replace them: PostgreSQL 15 hides nothing, and a statement passes many.
PG_CFLAGS += -fno-semantic-interposition
SHLIB_LINK += -Wl,-Bsymbolic

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(wildcard $(MODULES_IN_ORDER:%=src/%/*.h)) dbutil.control

$(INSTALL_SQL): $(wildcard $(MODULES_IN_ORDER:%=src/%/*.sql)) dbutil.control
	cat $(foreach m,$(MODULES_IN_ORDER),$(sort $(wildcard src/$(m)/*.sql))) > $@

endif
