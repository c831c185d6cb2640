/*
 * Observations kept between runs, so that a cron job that tries once an hour
 * gets past a dead holder on its second or third try.
 *
 * One small text file a lock in STATE/observed, written to the side and renamed
 * over. It is only ever a hint that saves waiting: what is lost or unreadable
 * costs one more ttl of watching. Times count only within one boot.
 */
#include "manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBSERVED_MAX 65536

static bool path_of(hf_manager *m, const char *name, char *out, size_t cap)
{
	const char *store = hf_store_identity(m);
	uint64_t hash = hf_hash(HF_HASH_INIT, store, strlen(store) + 1);

	if (!m->state_dir[0])
		return false;
	hash = hf_hash(hash, name, strlen(name));
	return snprintf(out, cap, "%s/observed/%016llx", m->state_dir,
		       (unsigned long long)hash) < (int)cap;
}

static void merge(hf_observer *observer, const char *id, uint64_t gen, int64_t since_ms)
{
	size_t i;

	for (i = 0; i < observer->count; i++) {
		hf_observation *o = &observer->items[i];

		if (o->gen == gen && !strcmp(o->id, id) && since_ms < o->since_ms)
			o->since_ms = since_ms;
	}
}

void hf_observed_load(hf_manager *m, const char *name, hf_observer *observer)
{
	char path[512];
	char line[256];
	char id[65];
	unsigned long long gen;
	long long since_ms;
	FILE *file;

	if (!path_of(m, name, path, sizeof(path)))
		return;
	file = fopen(path, "re");
	if (!file)
		return;
	/* The first line names the clock that the times are of. */
	if (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, hf_self_clock_domain()))
			while (fgets(line, sizeof(line), file))
				if (sscanf(line, "%64s %llu %lld", id, &gen, &since_ms) == 3)
					merge(observer, id, gen, since_ms);
	}
	fclose(file);
}

/* mkdir -p of the folder that `path` is in. */
static void make_parents(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0700) && errno != EEXIST) {
			*slash = '/';
			return;
		}
		*slash = '/';
	}
}

void hf_observed_save(hf_manager *m, const char *name, const hf_observer *observer)
{
	hf_buf text = HF_BUF_INIT;
	char path[512];
	char temporary[560];
	char id[HF_ID_LEN + 1];
	size_t i;
	int fd;
	bool written;

	if (!path_of(m, name, path, sizeof(path)))
		return;
	hf_buf_addf(&text, "%s\n", hf_self_clock_domain());
	for (i = 0; i < observer->count; i++)
		hf_buf_addf(&text, "%s %llu %lld\n", observer->items[i].id,
			(unsigned long long)observer->items[i].gen,
			(long long)observer->items[i].since_ms);
	hf_new_id(id);
	snprintf(temporary, sizeof(temporary), "%s.%s", path, id);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno == ENOENT) {
		make_parents(temporary);
		fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (fd >= 0) {
		written = !text.failed && text.len <= OBSERVED_MAX &&
			  write(fd, text.data, text.len) == (ssize_t)text.len;
		close(fd);
		if (!written || rename(temporary, path))
			unlink(temporary);
	}
	hf_buf_free(&text);
}
