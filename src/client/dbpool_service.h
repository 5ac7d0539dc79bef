/*
 * dbpool_service.h
 *		Pools by the name of a service, and settings from outside the program.
 *
 *	dbpool_define("payments", config, &err);	once, at the start
 *	dbpool_get("payments", &pool, &err);		wherever a connection is needed
 *
 * The settings of a service are, the later the stronger:
 *	1.	the defaults
 *	2.	the dbpool_config given to dbpool_define
 *	3.	the file named by DBPOOL_CONFIG, section [payments]
 *	4.	the environment: DBPOOL_PAYMENTS_MAX=20
 * so that whoever runs a program may change what its author chose.  What conninfo leaves
 * open is libpq's: service file, PG* variables, password file.
 */
#ifndef DBPOOL_SERVICE_H
#define DBPOOL_SERVICE_H

#include "dbpool.h"

#ifdef __cplusplus
extern "C"
{
#endif

#pragma GCC visibility push(default)

/*
 * Define a service; config may be NULL and is copied.  The name is 1 to 63 of a-z, A-Z,
 * 0-9, "_", "-" and ".", and the pool's `name` unless that is set.  Connects nothing and
 * starts no thread, so a program may define before it forks.  To define it again with
 * the same settings does nothing.  Errors: EINVAL for a bad name or setting, min > max,
 * another definition (the message names the first setting that differs), a name that
 * differs from a defined one only in what the environment cannot tell apart; ESYSTEM if
 * the file cannot be read; ENOMEM.
 */
int dbpool_define(const char *service, const dbpool_config *config, dbpool_error *err);

/*
 * The pool of a service, opened by the first call in the process; borrowed, so dbpool_close
 * refuses it.  In a forked child it is a pool of the child's own.  Errors: EINVAL if the
 * service is not defined (the message has the nearest one); as dbpool_open.
 */
int dbpool_get(const char *service, dbpool_pool **pool, dbpool_error *err);

/*
 * Forget a service and close its pool, if there is one, as dbpool_close does.  Errors:
 * EINVAL if it is not defined; ELEAKED.
 */
int dbpool_undefine(const char *service, int64_t deadline, dbpool_error *err);

/*
 * Set the options that a section of a file has.  Lines are `option = value`, [section],
 * empty, or begin with # or ;.  Blanks around a value are dropped, quotes belong to it.
 * Nothing is changed after an error: EINVAL with file and line for a line of no such
 * form, an unknown option (the nearest one is named), a bad value, an option or section
 * that comes twice; ESYSTEM if the file cannot be read.  A file without the section
 * changes nothing.
 */
int dbpool_config_read(dbpool_config *config, const char *path, const char *section,
					   dbpool_error *err);

/*
 * Set the options that the environment has for a service: DBPOOL_<SERVICE>_<OPTION>, in
 * upper case, "-" and "." as "_".  Errors: EINVAL with the variable's name for an unknown
 * option or a bad value; nothing is changed then.  A variable that ends in an option's
 * name, as DBPOOL_A_B_MAX for A, may be meant for a service A_B: it is passed over.
 */
int dbpool_config_env(dbpool_config *config, const char *service, dbpool_error *err);

/*
 * What a pool runs with, a line `setting = value  # where it comes from` each, first the
 * pool's options, then libpq's parameters; passwords are not shown.  *text is
 * allocated: free() it.  libpq's part is what it would use for a connection made now, but
 * for target_session_attrs, which it does not tell.
 * Errors: EINVAL, ECLOSED, EFORK, ENOMEM.
 */
int dbpool_settings_text(dbpool_pool *pool, char **text, dbpool_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* DBPOOL_SERVICE_H */
