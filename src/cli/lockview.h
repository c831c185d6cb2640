/*
 * How a lock looks: rows for people and pipes, an object for JSON. status and
 * list show the same.
 */
#ifndef HF_CLI_LOCKVIEW_H
#define HF_CLI_LOCKVIEW_H

#include "output.h"

/* Nobody holds it, no lock delay keeps it closed, and it can be read. */
bool cli_lock_is_free(const hf_lock_info *info);

/* ms since it was acquired, or began to wait, by its own wall clock; -1: not known. */
int64_t cli_holder_age_ms(const hf_holder *h);
/* Of a waiter: does it hold the lock already, and wait for more of it? */
bool cli_holder_upgrades(const hf_holder *waiter);

/* Ready for the rows below; a pipe gets more columns than a terminal. */
void cli_lock_table_init(cli_table *table);
/* One row for each holder and waiter; one for a lock with neither. */
void cli_lock_add_rows(cli_table *table, const hf_lock_info *info);

/* NULL: out of memory. */
json_t *cli_lock_json(const hf_lock_info *info);

/*
 * `hash` continued by everything about the lock that is worth telling again
 * when it differs: holders, waiters, state; not renewals, nor passing time.
 */
uint64_t cli_lock_digest(uint64_t hash, const hf_lock_info *info);

#endif
