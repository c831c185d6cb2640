/* The moody store in a test: open it, tell it how it is to answer, and look at its locks. */
#ifndef MOODY_HELPER_H
#define MOODY_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <holdfast/holdfast.h>

#include "../held.h"
#include "../store/scratch.h"
#include "base/base.h"
#include "moody.h"

/* How the moody store answers; open_moody() sets it. */
extern moody *store;

/* A manager on any store; its runtime folder is in the scratch folder. */
hf_manager *open_url(const char *url);
/* A manager on the moody store. */
hf_manager *open_moody(void);

#endif
