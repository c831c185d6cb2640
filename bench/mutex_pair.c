/*
 * The least a lock in memory can cost that has a record of its holder: a mutex,
 * and a record allocated on acquire and freed on release. It knows no lease, no
 * token, no history, and nobody can look at it.
 *
 *	mutex_pair COUNT
 */
#include "bench.h"

#include <pthread.h>

struct record {
	char holder[64];
	int64_t since_ns;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct record *volatile current;

static void acquire(void)
{
	struct record *r = malloc(sizeof(*r));

	must(r, "there is memory");
	pthread_mutex_lock(&mutex);
	r->holder[0] = '\0';
	r->since_ns = now_ns();
	current = r;
}

static void release(void)
{
	struct record *r = current;

	current = NULL;
	pthread_mutex_unlock(&mutex);
	free(r);
}

static void pairs(long count)
{
	for (; count > 0; count--) {
		acquire();
		release();
	}
}

int main(int argc, char **argv)
{
	int64_t start_ns;
	long count;

	must(argc == 2, "usage: mutex_pair COUNT");
	count = count_from(argv[1]);
	acquire();
	must(pthread_mutex_trylock(&mutex) != 0, "a held lock is refused");
	release();
	pairs(count / 10 + 1);
	start_ns = now_ns();
	pairs(count);
	print_pair(now_ns() - start_ns, count);
	return 0;
}
