#include "metrics_page.h"

#include "state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPILL_MS 20 /* a page that stays locked so long is passed over */
#define PATIENCE_MS 200
#define IDLE_S 86400 /* unchanged for so long, a page may be given to another key */
#define REACH 16 /* from where a key begins, its page is one of these */
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
	struct stat st;
	int fd;

	flags |= O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	/* Else every first look after a write is a write to the inode. */
	fd = open(path, flags | O_NOATIME, 0600);
	if (fd < 0 && errno == EPERM) /* another's file */
		fd = open(path, flags, 0600);
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
	return set_lock(fd, F_WRLCK, page, 1);
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

static bool peek(int fd, size_t number, cli_page_peek *out)
{
	char bytes[CLI_PAGE_PEEK];
	ssize_t got = pread(fd, bytes, sizeof(bytes), (off_t)(number * CLI_METRICS_PAGE));

	if (got < 0)
		return false;
	cli_page_peek_at(out, bytes, (size_t)got);
	return true;
}

/* ---- adding ---- */

struct addition {
	int fd;
	const char *store; /* "": to the rest */
	const char *name;
	const hf_metrics *metrics;
	int64_t now_s;
	int64_t until_ms; /* hf_boot_ms() */
	bool damaged; /* what was there could not be read */
};

typedef enum outcome { DONE, BUSY, NOT_FREE, FAILED } outcome;

static bool is_ours(const struct addition *a, const cli_page *page)
{
	return !strcmp(page->store, a->store) && !strcmp(page->name, a->name);
}

/* Long unchanged; or the clock was once far ahead. */
static bool is_idle(const struct addition *a, int64_t changed_s)
{
	return changed_s < a->now_s - IDLE_S || changed_s > a->now_s + IDLE_S;
}

/* Make the page ours, with what we add. False: another has it. */
static bool take_in(const struct addition *a, size_t number, cli_page *page)
{
	static const hf_metrics zero = HF_METRICS_INIT;
	hf_metrics sum = *a->metrics;

	if (page->state != CLI_PAGE_GOOD) {
		page->rest = zero;
	} else if (is_ours(a, page)) {
		cli_metrics_add(&sum, &page->metrics);
	} else if (!number || (page->store[0] && !is_idle(a, page->changed_s))) {
		return false;
	} else {
		/* Written with the same stroke: nobody ever sees neither or both. */
		cli_metrics_add(&page->rest, &page->metrics);
	}
	page->metrics = sum;
	page->store = a->store;
	page->name = a->name;
	page->changed_s = a->now_s;
	return true;
}

/* Try this page: ours, one nobody has, or one that is not used any more. */
static outcome add_to(struct addition *a, size_t number)
{
	outcome answer = NOT_FREE;
	cli_page page;
	char bytes[CLI_METRICS_PAGE];

	if (!try_lock(a->fd, number))
		return BUSY;
	/* Only what is read under the lock counts. */
	if (!read_page(a->fd, number, &page)) {
		answer = FAILED;
	} else if (take_in(a, number, &page)) {
		cli_page_encode(&page, bytes);
		answer = write_page(a->fd, number, bytes) ? DONE : FAILED;
		a->damaged = a->damaged || page.state == CLI_PAGE_DAMAGED;
	}
	unlock(a->fd, number);
	return answer;
}

/*
 * Look for our page from where our key begins, and try it. BUSY: it was locked;
 * NOT_FREE: there is none. Then in *claim_out the one that is best made ours: the
 * first that nobody has, else that which is unchanged for longest, or NOWHERE.
 */
static outcome add_to_ours(struct addition *a, size_t *claim_out)
{
	uint64_t key = cli_page_key(a->store, a->name);
	uint64_t rest = cli_page_key("", "");
	outcome answer = NOT_FREE;
	size_t idle = NOWHERE;
	int64_t since_s = INT64_MAX;
	cli_page_peek page;
	size_t i;

	*claim_out = NOWHERE;
	for (i = 0; i < REACH; i++) {
		size_t number = 1 + (size_t)((key + i) % (CLI_METRICS_PAGES - 1));
		outcome one = NOT_FREE;

		if (!peek(a->fd, number, &page))
			return FAILED;
		if (page.state == CLI_PAGE_GOOD && page.key == key)
			one = add_to(a, number);
		if (one == DONE || one == FAILED)
			return one;
		if (one == BUSY)
			answer = BUSY;
		else if (page.state != CLI_PAGE_GOOD || page.key == rest)
			*claim_out = *claim_out == NOWHERE ? number : *claim_out;
		else if (is_idle(a, page.changed_s) && page.changed_s < since_s) {
			idle = number;
			since_s = page.changed_s;
		}
		if (page.state == CLI_PAGE_EMPTY)
			break;
	}
	if (*claim_out == NOWHERE)
		*claim_out = idle;
	return answer;
}

static outcome add_to_rest(struct addition *a)
{
	outcome answer;

	a->store = "";
	a->name = "";
	while ((answer = add_to(a, 0)) == BUSY && hf_boot_ms() < a->until_ms)
		hf_sleep_until_ms(hf_boot_ms() + 1);
	return answer;
}

static outcome add_somewhere(struct addition *a)
{
	int64_t spill_ms = hf_boot_ms() + SPILL_MS;
	size_t claim;
	outcome answer;

	for (;;) {
		answer = add_to_ours(a, &claim);
		if (answer == NOT_FREE || (answer == BUSY && hf_boot_ms() >= spill_ms)) {
			if (claim == NOWHERE)
				return add_to_rest(a);
			answer = add_to(a, claim);
		}
		if (answer == DONE || answer == FAILED || hf_boot_ms() >= a->until_ms)
			return answer;
		/* Who claims what we would have is done with it in a moment. */
		hf_sleep_until_ms(hf_boot_ms() + 1);
	}
}

bool cli_metrics_file_add(const char *path, const cli_metrics_addition *what, bool *damaged_out)
{
	struct addition a = {.store = what->store,
		.name = what->name,
		.metrics = what->metrics,
		.now_s = what->now_s,
		.until_ms = hf_boot_ms() + (what->in_passing ? 0 : PATIENCE_MS)};
	outcome answer;

	*damaged_out = false;
	a.fd = open_file(path, O_CREAT);
	if (a.fd < 0 && errno == ENOENT) {
		cli_make_parents(path);
		a.fd = open_file(path, O_CREAT);
	}
	if (a.fd < 0)
		return false;
	if (a.store[0] && a.name[0] && cli_page_has_room(a.store, a.name))
		answer = add_somewhere(&a);
	else
		answer = add_to_rest(&a);
	close(a.fd);
	*damaged_out = a.damaged;
	return answer == DONE;
}

/* ---- reading ---- */

static bool key_wanted(const cli_metrics_filter *filter, const char *store, const char *name)
{
	return (!filter->store || !strcmp(filter->store, store)) &&
	       (!filter->name || !strcmp(filter->name, name));
}

static bool wanted(const cli_metrics_filter *filter, const cli_page *page)
{
	return page->state == CLI_PAGE_GOOD && key_wanted(filter, page->store, page->name);
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

/* What the page has of the rest, as an item of its own if that is wanted. */
static bool keep_rest(
	cli_metrics_list *list, const cli_page *page, const cli_metrics_filter *filter)
{
	cli_page rest = {.store = "", .name = "", .metrics = page->rest};

	if (page->state != CLI_PAGE_GOOD || !key_wanted(filter, "", "") ||
		!cli_metrics_any(&page->rest))
		return true;
	return keep_item(list, &rest);
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
		if ((wanted(filter, &page) && !keep_item(list, &page)) ||
			!keep_rest(list, &page, filter))
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
	list_out->items = calloc(2 * CLI_METRICS_PAGES, sizeof(*list_out->items));
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

/* Zeros, or what the page has of the rest. */
static bool reset_page(int fd, size_t number, const cli_page *page)
{
	static const hf_metrics zero = HF_METRICS_INIT;
	cli_page rest = {.store = "",
		.name = "",
		.changed_s = page->changed_s,
		.metrics = page->rest,
		.rest = zero};
	char bytes[CLI_METRICS_PAGE] = {0};

	if (cli_metrics_any(&page->rest))
		cli_page_encode(&rest, bytes);
	return write_page(fd, number, bytes);
}

/* All pages are locked: no writer is between reading and writing. */
static bool reset_locked(int fd, const cli_metrics_filter *filter)
{
	cli_page page;
	size_t i;

	if (!filter->store && !filter->name)
		return !ftruncate(fd, 0);
	for (i = 0; i < CLI_METRICS_PAGES; i++) {
		if (!read_page(fd, i, &page))
			return false;
		if (wanted(filter, &page) && !reset_page(fd, i, &page))
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
