/* Taking a slot file's lock, with a bound. See slotfile.h. */
#include "slotfile_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#define YIELDS 3
#define SLEEP_MIN_NS 20000
#define SLEEP_MAX_NS 2000000
/* A crowd: a thousand that ask each 2 ms would leave nothing for who has the lock. */
#define SLEEPS_OF_A_FEW 30
#define SLEEP_CROWD_NS 20000000
/* More than this between two looks was a stop of ours, not the holder's. */
#define CREDIT_MAX_NS 50000000

int hf_try_ofd(int fd, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET};

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EACCES ? EAGAIN : errno;
}

/* ---- waiting ---- */

struct wait {
	unsigned yields;
	unsigned sleeps;
	int64_t sleep_ns;
	int64_t waited_ns; /* while nothing changed */
	int64_t last_ns;
	int64_t next_look_ns; /* of waited_ns */
	bool remover; /* we have the lock; a remover elsewhere must end first */
	dev_t dev;
	ino_t ino;
	uint64_t state; /* what the content was at the last look */
};

static int64_t monotonic_ns(void)
{
	struct timespec now;

	/* Not the boot clock: a suspended machine stops the holder too. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void wait_begin(struct wait *w)
{
	*w = (struct wait){.sleep_ns = SLEEP_MIN_NS};
}

/* A number that changes with the content. */
static uint64_t state_of(const hf_slotfile *file)
{
	const hf_slots *slots = &file->slots;

	if (slots->pick != HF_PICK_OK)
		return 0;
	return slots->newest.seq * 1024 + slots->newest.mark * 4u + slots->newest.index * 2u +
	       1;
}

static void sleep_a_little(hf_slotfile *file, struct wait *w)
{
	struct timespec pause;
	int64_t ns = w->sleep_ns / 2 + (int64_t)hf_rng_below(&file->rng, (uint64_t)w->sleep_ns);
	int64_t now;

	if (!w->last_ns)
		w->last_ns = monotonic_ns();
	if (w->yields < YIELDS) {
		w->yields++;
		sched_yield();
		return;
	}
	pause = (struct timespec){.tv_nsec = ns};
	nanosleep(&pause, NULL);
	if (w->sleep_ns < (++w->sleeps < SLEEPS_OF_A_FEW ? SLEEP_MAX_NS : SLEEP_CROWD_NS))
		w->sleep_ns += w->sleep_ns / 2;
	now = monotonic_ns();
	w->waited_ns += now - w->last_ns < CREDIT_MAX_NS ? now - w->last_ns : CREDIT_MAX_NS;
	w->last_ns = now;
}

/*
 * Has the content changed since the last look, or is it another file? Then the
 * waiting begins anew: somebody is getting on with it.
 */
static hf_status look(hf_slotfile *file, struct wait *w, hf_error *error)
{
	hf_status st = hf_slots_read(file->fd, file->path, &file->slots, error);
	uint64_t state;

	if (st)
		return st;
	state = state_of(file);
	if (state != w->state || file->ino != w->ino || file->dev != w->dev)
		w->waited_ns = 0;
	w->state = state;
	w->ino = file->ino;
	w->dev = file->dev;
	w->next_look_ns = w->waited_ns + file->options.patience_ms * 1000000 / 8;
	return HF_OK;
}

static hf_status say_stuck(const hf_slotfile *file, hf_error *error)
{
	return hf_fail(error, HF_UNAVAILABLE, "slot file", 0,
		"%s has been locked for %lld ms by a process that does not get on with it, and "
		"cannot be taken over: find it (lslocks) and let it run, or end it",
		file->path, (long long)file->options.patience_ms);
}

static bool may_break(const hf_slotfile *file, const struct wait *w)
{
	if (!file->writable || file->options.read_locked || w->remover)
		return false;
	if (file->slots.pick == HF_PICK_OK)
		return file->slots.newest.kind != HF_SLOT_REMOVING;
	return file->slots.pick != HF_PICK_NEWER;
}

/*
 * It is locked by another: wait a little. Once patience has ended it is
 * exchanged for one of ours, locked.
 */
static hf_status wait_or_break(hf_slotfile *file, struct wait *w, hf_error *error)
{
	int64_t patience_ns = file->options.patience_ms * 1000000;
	char nonce[HF_NONCE_LEN + 1];
	hf_status st = HF_OK;

	sleep_a_little(file, w);
	if (!hf_slotfile_is_at_path(file)) {
		hf_slotfile_close(file); /* swapped out: go to the new one */
		return HF_OK;
	}
	if (w->waited_ns >= w->next_look_ns || w->waited_ns >= patience_ns)
		st = look(file, w, error);
	if (st || w->waited_ns < patience_ns)
		return st;
	if (!may_break(file, w))
		return say_stuck(file, error);
	st = hf_slotfile_exchange(file,
		file->slots.slot_size ? file->slots.slot_size : HF_SLOT_BLOCK, nonce, NULL,
		error);
	if (st == HF_OK)
		file->locked = true;
	if (st == HF_UNAVAILABLE)
		return say_stuck(file, error);
	return st == HF_CHANGED ? HF_OK : st;
}

/* ---- what was left behind ---- */

/* Locked, and blank since a power cut: make it one that has nothing in it yet. */
static hf_status init_blank(hf_slotfile *file, hf_error *error)
{
	const hf_slot nothing = {.kind = HF_SLOT_NOTHING};
	hf_status st = HF_OK;

	if (file->slots.slot_size == 0) {
		st = hf_slots_allocate(file->fd, HF_SLOT_BLOCK, file->path, error);
		if (!st)
			file->slots.slot_size = HF_SLOT_BLOCK;
	}
	return st ? st : hf_slotfile_put(file, &nothing, error);
}

/*
 * Its remover has died before it could unlink the path. It must not say
 * "removing" while we are at it: it could not be broken then.
 */
static hf_status end_removal(hf_slotfile *file, hf_error *error)
{
	const hf_slot nothing = {.kind = HF_SLOT_NOTHING, .seq = hf_slotfile_next_seq(file)};

	return hf_slotfile_put(file, &nothing, error);
}

/* ---- the whole ---- */

/*
 * The lock is ours, and the file is at its path: read it. HF_CHANGED: it was
 * replaced, go on; HF_HELD: a remover is at work, wait.
 */
static hf_status load(hf_slotfile *file, short type, hf_error *error)
{
	hf_status st = hf_slots_load(file->fd, file->path, &file->slots, error);

	if (st || type != F_WRLCK)
		return st;
	if (file->slots.pick == HF_PICK_BLANK)
		return init_blank(file, error);
	if (file->slots.pick != HF_PICK_OK)
		return HF_OK;
	if (file->slots.newest.kind == HF_SLOT_REMOVING)
		return end_removal(file, error);
	if (file->slots.newest.kind == HF_SLOT_REBUILDING)
		return hf_slotfile_rebuild(file, error);
	return HF_OK;
}

static hf_status try_lock(hf_slotfile *file, short type, hf_error *error)
{
	int native = hf_try_ofd(file->fd, type);

	if (native == EAGAIN)
		return HF_HELD;
	if (native)
		return hf_fail_errno(error, HF_SYSTEM, "slot file", native,
			"cannot lock %s (does its file system know locks?)", file->path);
	/* The lock counts only while the path names what we have locked. */
	if (!hf_slotfile_is_at_path(file))
		return HF_CHANGED;
	file->locked = true;
	return HF_OK;
}

static hf_status check_writable(hf_slotfile *file, short type, hf_error *error)
{
	if (type != F_WRLCK || file->writable)
		return HF_OK;
	hf_slotfile_close(file); /* it may have become so when next we try */
	return hf_fail_errno(error, HF_SYSTEM, "slot file", file->write_errno,
		"cannot write %s", file->path);
}

hf_status hf_slotfile_take(
	hf_slotfile *file, short type, bool create, bool *missing_out, hf_error *error)
{
	struct wait wait;
	hf_status st;

	*missing_out = false;
	file->locked = false;
	wait_begin(&wait);
	for (;;) {
		st = HF_OK;
		if (file->fd < 0)
			st = hf_slotfile_open(file, create, missing_out, error);
		if (st || *missing_out)
			return st;
		st = check_writable(file, type, error);
		if (!st && !file->locked)
			st = try_lock(file, type, error);
		wait.remover = !st;
		if (!st)
			st = load(file, type, error);
		if (st == HF_HELD) {
			hf_slotfile_unlock(file);
			st = wait_or_break(file, &wait, error);
			if (st)
				return st;
			continue;
		}
		if (st == HF_CHANGED) {
			hf_slotfile_close(file);
			continue;
		}
		if (st)
			hf_slotfile_unlock(file);
		return st;
	}
}
