#include "metrics_page.h"

#include "state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPILL_MS 20 /* a page that stays locked so long is passed over */
#define PATIENCE_MS 200
#define NOWHERE SIZE_MAX

char *cli_metrics_path(void)
{
	hf_buf path = HF_BUF_INIT;

	if (!cli_state_path(&path, "metrics-1"))
		hf_buf_free(&path);
	return path.data;
}

/* ---- pages ---- */

/* A regular file, and not one that somebody else put a link to in our way. */
static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

/* Of a page, or with pages > 1 of a range. Never waits. */
static bool set_lock(int fd, short type, size_t page, size_t pages)
{
	struct flock lock = {.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)(page * CLI_METRICS_PAGE),
		.l_len = (off_t)(pages * CLI_METRICS_PAGE)};

	return !fcntl(fd, F_OFD_SETLK, &lock);
}

static bool try_lock(int fd, size_t page)
{
	(void)fd; (void)page; return true;
}

static void unlock(int fd, size_t page)
{
	set_lock(fd, F_UNLCK, page, 1);
}

/* The same for a while. */
static bool lock_in_time(int fd, size_t page, size_t pages)
{
	int64_t until_ms = hf_boot_ms() + PATIENCE_MS;

	while (!set_lock(fd, F_WRLCK, page, pages)) {
		if (hf_boot_ms() >= until_ms)
			return false;
		hf_sleep_until_ms(hf_boot_ms() + 1);
	}
	return true;
}

static bool read_page(int fd, size_t number, cli_page *page)
{
	off_t at = (off_t)(number * CLI_METRICS_PAGE);
	ssize_t got = pread(fd, page->bytes, CLI_METRICS_PAGE, at);

	if (got < 0)
		return false;
	cli_page_decode(page, (size_t)got);
	return true;
}

static bool write_page(int fd, size_t number, const char *bytes)
{
	off_t at = (off_t)(number * CLI_METRICS_PAGE);

	return pwrite(fd, bytes, CLI_METRICS_PAGE, at) == CLI_METRICS_PAGE;
}

/* ---- adding ---- */

struct addition {
	int fd;
	const char *store;
	const char *name;
	const hf_metrics *metrics;
	bool damaged; /* what was there could not be read */
};

static bool is_ours(const struct addition *a, const cli_page *page)
{
	return page->state == CLI_PAGE_GOOD && !strcmp(page->store, a->store) &&
	       !strcmp(page->name, a->name);
}

typedef enum outcome { DONE, NOT_FREE, FAILED } outcome;

/* Try this page: ours, or one nobody has. */
static outcome add_to(struct addition *a, size_t number)
{
	outcome answer = NOT_FREE;
	cli_page page;
	char bytes[CLI_METRICS_PAGE];

	if (!try_lock(a->fd, number))
		return NOT_FREE;
	/* Only what is read under the lock counts. */
	if (!read_page(a->fd, number, &page)) {
		answer = FAILED;
	} else if (is_ours(a, &page) || page.state != CLI_PAGE_GOOD) {
		hf_metrics sum = *a->metrics;

		if (page.state == CLI_PAGE_GOOD)
			cli_metrics_add(&sum, &page.metrics);
		cli_page_encode(a->store, a->name, &sum, bytes);
		answer = write_page(a->fd, number, bytes) ? DONE : FAILED;
		a->damaged = a->damaged || page.state == CLI_PAGE_DAMAGED;
	}
	unlock(a->fd, number);
	return answer;
}

/*
 * Look for our page from where our key begins, and try it. In *claim_out the
 * first page that could become ours; in *busy_out whether ours was locked.
 */
static outcome add_to_ours(struct addition *a, size_t *claim_out, bool *busy_out)
{
	uint64_t hash = hf_hash(HF_HASH_INIT, a->store, strlen(a->store) + 1);
	cli_page page;
	size_t i;

	hash = hf_hash(hash, a->name, strlen(a->name));
	*claim_out = NOWHERE;
	*busy_out = false;
	for (i = 0; i < CLI_METRICS_PAGES - 1; i++) {
		size_t number = 1 + (size_t)((hash + i) % (CLI_METRICS_PAGES - 1));
		outcome answer;

		if (!read_page(a->fd, number, &page))
			return FAILED;
		if (is_ours(a, &page)) {
			answer = add_to(a, number);
			if (answer != NOT_FREE)
				return answer;
			*busy_out = true;
		} else if (page.state != CLI_PAGE_GOOD && *claim_out == NOWHERE) {
			*claim_out = number;
		}
		if (page.state == CLI_PAGE_EMPTY)
			break;
	}
	return NOT_FREE;
}

static outcome add_somewhere(struct addition *a)
{
	int64_t start_ms = hf_boot_ms();

	for (;;) {
		int64_t spent_ms = hf_boot_ms() - start_ms;
		outcome answer = NOT_FREE;
		size_t claim = 0;
		bool busy = false;

		if (a->store[0])
			answer = add_to_ours(a, &claim, &busy);
		if (answer == NOT_FREE && claim == NOWHERE && !busy)
			return NOT_FREE; /* all are others' */
		if (answer == NOT_FREE && claim != NOWHERE && (!busy || spent_ms >= SPILL_MS))
			answer = add_to(a, claim);
		if (answer != NOT_FREE)
			return answer;
		if (spent_ms >= PATIENCE_MS)
			return FAILED;
		hf_sleep_until_ms(hf_boot_ms() + 1);
	}
}

bool cli_metrics_file_add(const char *path, const char *store, const char *name,
	const hf_metrics *metrics, bool *damaged_out)
{
	struct addition a = {.store = store, .name = name, .metrics = metrics};
	outcome answer = NOT_FREE;

	*damaged_out = false;
	a.fd = open_file(path, O_CREAT);
	if (a.fd < 0 && errno == ENOENT) {
		cli_make_parents(path);
		a.fd = open_file(path, O_CREAT);
	}
	if (a.fd < 0)
		return false;
	if (store[0] && name[0] && cli_page_has_room(store, name))
		answer = add_somewhere(&a);
	if (answer == NOT_FREE) {
		a.store = "";
		a.name = "";
		answer = add_somewhere(&a);
	}
	close(a.fd);
	*damaged_out = a.damaged;
	return answer == DONE;
}

/* ---- reading ---- */

static bool wanted(const cli_metrics_filter *filter, const cli_page *page)
{
	return page->state == CLI_PAGE_GOOD &&
	       (!filter->store || !strcmp(filter->store, page->store)) &&
	       (!filter->name || !strcmp(filter->name, page->name));
}

static bool keep_item(cli_metrics_list *list, const cli_page *page)
{
	cli_metrics_item *item = &list->items[list->count];

	item->store = strdup(page->store);
	item->name = strdup(page->name);
	item->metrics = page->metrics;
	if (item->store && item->name) {
		list->count++;
		return true;
	}
	free(item->store);
	free(item->name);
	return false;
}

/*
 * What cannot be read was perhaps being written. If it still cannot be read
 * under the lock, it is cleared. True: that was done.
 */
static bool clear_damaged(int fd, size_t number, cli_page *page)
{
	static const char zeros[CLI_METRICS_PAGE];
	bool cleared = false;

	if (!lock_in_time(fd, number, 1))
		return false;
	if (read_page(fd, number, page) && page->state == CLI_PAGE_DAMAGED)
		cleared = write_page(fd, number, zeros);
	unlock(fd, number);
	return cleared;
}

static int by_key(const void *a, const void *b)
{
	const cli_metrics_item *x = a;
	const cli_metrics_item *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->store, y->store);
}

/* Pages of one key are one item. */
static void sort_and_join(cli_metrics_list *list)
{
	size_t kept = 0;
	size_t i;

	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), by_key);
	for (i = 0; i < list->count; i++) {
		cli_metrics_item *item = &list->items[i];

		if (kept > 0 && !by_key(item, &list->items[kept - 1])) {
			cli_metrics_add(&list->items[kept - 1].metrics, &item->metrics);
			free(item->store);
			free(item->name);
		} else {
			list->items[kept++] = *item;
		}
	}
	list->count = kept;
}

static hf_status cannot(hf_error *error, const char *what, const char *path)
{
	return hf_fail_errno(
		error, HF_SYSTEM, "metrics", errno, "cannot %s the metrics in %s", what, path);
}

static hf_status read_all(int fd, const char *path, const cli_metrics_filter *filter,
	cli_metrics_list *list, hf_error *error)
{
	cli_page page;
	size_t i;

	for (i = 0; i < CLI_METRICS_PAGES; i++) {
		if (!read_page(fd, i, &page))
			return cannot(error, "read", path);
		if (page.state == CLI_PAGE_DAMAGED)
			list->damaged += clear_damaged(fd, i, &page);
		if (wanted(filter, &page) && !keep_item(list, &page))
			return hf_fail_memory(error, "metrics");
	}
	return HF_OK;
}

hf_status cli_metrics_file_read(const char *path, const cli_metrics_filter *filter,
	cli_metrics_list *list_out, hf_error *error)
{
	int fd = open_file(path, 0);
	hf_status st;

	memset(list_out, 0, sizeof(*list_out));
	if (fd < 0)
		return errno == ENOENT ? HF_OK : cannot(error, "open", path);
	list_out->items = calloc(CLI_METRICS_PAGES, sizeof(*list_out->items));
	st = list_out->items ? read_all(fd, path, filter, list_out, error)
			     : hf_fail_memory(error, "metrics");
	close(fd);
	sort_and_join(list_out);
	return st;
}

void cli_metrics_list_clear(cli_metrics_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		free(list->items[i].store);
		free(list->items[i].name);
	}
	free(list->items);
	memset(list, 0, sizeof(*list));
}

/* ---- beginning anew ---- */

/* All pages are locked: no writer is between reading and writing. */
static bool reset_locked(int fd, const cli_metrics_filter *filter)
{
	static const char zeros[CLI_METRICS_PAGE];
	cli_page page;
	size_t i;

	if (!filter->store && !filter->name)
		return !ftruncate(fd, 0);
	for (i = 0; i < CLI_METRICS_PAGES; i++) {
		if (!read_page(fd, i, &page))
			return false;
		if (wanted(filter, &page) && !write_page(fd, i, zeros))
			return false;
	}
	return true;
}

hf_status cli_metrics_file_reset(
	const char *path, const cli_metrics_filter *filter, hf_error *error)
{
	int fd = open_file(path, 0);
	hf_status st = HF_OK;

	if (fd < 0)
		return errno == ENOENT ? HF_OK : cannot(error, "open", path);
	if (!lock_in_time(fd, 0, CLI_METRICS_PAGES))
		st = hf_fail(error, HF_UNAVAILABLE, "metrics", 0,
			"the metrics in %s are being written by a process that does not go "
			"on: try again, or remove the file",
			path);
	else if (!reset_locked(fd, filter))
		st = cannot(error, "reset", path);
	close(fd);
	return st;
}
