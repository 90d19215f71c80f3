/*
 * Memory that outlives the worker: slots of two copies each.  The copy that is not in use is
 * written, then one store makes it the one in use; so a process may die between any two
 * instructions.  Behind them are slots for exchanges, of one copy, as what is kept of an exchange
 * does not change.
 */
#include "iked/sealed.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iked/table.h"

#define MAGIC  0x5345414cu /* "SEAL" */
#define LAYOUT 6u
#define CHUNK  128u /* slots that are locked at once */

enum { FREE = 0, FIRST = 1, SECOND = 2 };

struct slot {
	_Atomic uint32_t use; /* FREE, or which copy */
	struct ike_p1_kept copies[2];
};

struct quick_slot {
	_Atomic uint32_t use; /* FREE or FIRST */
	struct ike_quick_kept kept;
};

struct memory {
	uint32_t magic, version, slot_size, n_slots, quick_size, n_quicks;
	/* Slots from here on were never used; to look at one costs a page. */
	_Atomic uint32_t top, quick_top;
	_Atomic int64_t clock; /* what the wall clock was ahead of mono when last said; 0: never */
	struct slot slots[];
};

/* Where an SA is kept. */
struct entry {
	struct ike_node node;
	uint32_t slot;
};

struct ike_sealed {
	struct memory *memory;
	struct ike_table entries;
	uint32_t *free; /* slots below top that are not in use */
	uint32_t n_free, n_locked;
	struct quick_slot *quicks;
	struct ike_table quick_entries;
	uint32_t *free_quicks;
	uint32_t n_free_quicks, n_locked_quicks;
	struct ike_sealed_stats stats;
};

static size_t quicks_at(uint32_t n_slots)
{
	return sizeof(struct memory) + (size_t)n_slots * sizeof(struct slot);
}

static size_t memory_size(const struct memory *m)
{
	return quicks_at(m->n_slots) + (size_t)m->n_quicks * sizeof(struct quick_slot);
}

/* ---- the parent ---- */

int ike_sealed_create(int *result, struct cs_err *err)
{
	struct memory head = {
		.magic = MAGIC,
		.version = LAYOUT,
		.slot_size = sizeof(struct slot),
		.n_slots = IKE_SEALED_MAX,
		.quick_size = sizeof(struct quick_slot),
		.n_quicks = IKE_SEALED_QUICKS,
	};
	int fd = memfd_create("iked-phase1", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return cs_fail_errno(err, "cannot make memory for phase 1 SAs");
	if (ftruncate(fd, (off_t)memory_size(&head)) < 0 ||
	    pwrite(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		cs_fail_errno(err, "cannot set up memory for phase 1 SAs");
		close(fd);
		return CS_ESYS;
	}
	*result = fd;
	return 0;
}

/* ---- slots ---- */

static uint64_t hash_of(uint32_t tunnel, uint32_t generation)
{
	static const uint8_t key[16]; /* nobody else chooses these numbers */
	uint32_t both[2] = {tunnel, generation};

	return ike_siphash(key, both, sizeof(both));
}

static const struct ike_p1_kept *in_use(const struct slot *s)
{
	uint32_t use = atomic_load_explicit(&s->use, memory_order_acquire);

	return use == FIRST || use == SECOND ? &s->copies[use - 1] : NULL;
}

struct key {
	const struct ike_sealed *sealed;
	uint32_t tunnel, generation;
};

static bool match(const struct ike_node *node, const void *arg)
{
	const struct entry *entry = IKE_OF(node, struct entry, node);
	const struct key *key = arg;
	const struct ike_p1_kept *k = in_use(&key->sealed->memory->slots[entry->slot]);

	return k && k->tunnel == key->tunnel && k->generation == key->generation;
}

static struct entry *find(const struct ike_sealed *s, uint32_t tunnel, uint32_t generation)
{
	struct key key = {s, tunnel, generation};
	struct ike_node *node =
		ike_table_find(&s->entries, hash_of(tunnel, generation), match, &key);

	return node ? IKE_OF(node, struct entry, node) : NULL;
}

/*
 * So many slots of this size are locked, and more of them are to be.  Best effort: a small
 * RLIMIT_MEMLOCK must not stop negotiation.
 */
static void lock_more(struct ike_sealed *s, const void *slots, size_t size, uint32_t *n_locked,
		      uint32_t slot, uint32_t n_slots)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from, to;

	while (*n_locked <= slot && *n_locked < n_slots) {
		from = ((uintptr_t)slots + *n_locked * size) & ~(page - 1);
		*n_locked += CHUNK;
		if (*n_locked > n_slots)
			*n_locked = n_slots;
		to = (uintptr_t)slots + *n_locked * size;
		if (mlock((void *)from, to - from) < 0)
			s->stats.locked = false;
	}
}

static void lock_up_to(struct ike_sealed *s, uint32_t slot)
{
	lock_more(s, s->memory->slots, sizeof(struct slot), &s->n_locked, slot, s->memory->n_slots);
}

static bool take_slot(struct ike_sealed *s, uint32_t *slot)
{
	uint32_t top = atomic_load_explicit(&s->memory->top, memory_order_relaxed);

	if (s->n_free) {
		*slot = s->free[--s->n_free];
	} else if (top < s->memory->n_slots) {
		*slot = top;
		atomic_store_explicit(&s->memory->top, top + 1, memory_order_release);
	} else {
		return false;
	}
	lock_up_to(s, *slot);
	return true;
}

static int add_entry(struct ike_sealed *s, uint32_t slot, const struct ike_p1_kept *k)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return CS_ENOMEM;
	entry->slot = slot;
	ike_table_add(&s->entries, &entry->node, hash_of(k->tunnel, k->generation));
	s->stats.kept++;
	return 0;
}

static void give_slot(struct ike_sealed *s, uint32_t slot)
{
	struct slot *at = &s->memory->slots[slot];

	atomic_store_explicit(&at->use, FREE, memory_order_release);
	cs_wipe(at->copies, sizeof(at->copies));
	s->free[s->n_free++] = slot;
}

/* ---- slots of exchanges ---- */

static bool match_quick(const struct ike_node *node, const void *arg)
{
	const struct entry *entry = IKE_OF(node, struct entry, node);
	const struct key *key = arg;
	const struct ike_quick_kept *k = &key->sealed->quicks[entry->slot].kept;

	return k->tunnel == key->tunnel && k->generation == key->generation;
}

static struct entry *find_quick(const struct ike_sealed *s, uint32_t tunnel, uint32_t generation)
{
	struct key key = {s, tunnel, generation};
	struct ike_node *node =
		ike_table_find(&s->quick_entries, hash_of(tunnel, generation), match_quick, &key);

	return node ? IKE_OF(node, struct entry, node) : NULL;
}

static bool take_quick(struct ike_sealed *s, uint32_t *slot)
{
	uint32_t top = atomic_load_explicit(&s->memory->quick_top, memory_order_relaxed);

	if (s->n_free_quicks) {
		*slot = s->free_quicks[--s->n_free_quicks];
	} else if (top < s->memory->n_quicks) {
		*slot = top;
		atomic_store_explicit(&s->memory->quick_top, top + 1, memory_order_release);
	} else {
		return false;
	}
	lock_more(s, s->quicks, sizeof(struct quick_slot), &s->n_locked_quicks, *slot,
		  s->memory->n_quicks);
	return true;
}

static void give_quick(struct ike_sealed *s, uint32_t slot)
{
	struct quick_slot *at = &s->quicks[slot];

	atomic_store_explicit(&at->use, FREE, memory_order_release);
	cs_wipe(&at->kept, sizeof(at->kept));
	s->free_quicks[s->n_free_quicks++] = slot;
}

static int add_quick(struct ike_sealed *s, uint32_t slot, const struct ike_quick_kept *k)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return CS_ENOMEM;
	entry->slot = slot;
	ike_table_add(&s->quick_entries, &entry->node, hash_of(k->tunnel, k->generation));
	return 0;
}

static int find_quicks(struct ike_sealed *s, struct cs_err *err)
{
	uint32_t top = atomic_load_explicit(&s->memory->quick_top, memory_order_acquire);

	for (uint32_t i = 0; i < top; i++) {
		const struct ike_quick_kept *k = &s->quicks[i].kept;

		lock_more(s, s->quicks, sizeof(struct quick_slot), &s->n_locked_quicks, i,
			  s->memory->n_quicks);
		if (atomic_load_explicit(&s->quicks[i].use, memory_order_acquire) != FIRST ||
		    find_quick(s, k->tunnel, k->generation))
			give_quick(s, i);
		else if (add_quick(s, i, k))
			return cs_fail(err, CS_ENOMEM, "no memory for kept exchanges");
	}
	return 0;
}

void ike_sealed_each_quick(const struct ike_sealed *s, ike_sealed_quick_fn *fn, void *arg)
{
	uint32_t top = atomic_load_explicit(&s->memory->quick_top, memory_order_relaxed);

	for (uint32_t i = 0; i < top; i++)
		if (atomic_load_explicit(&s->quicks[i].use, memory_order_acquire) == FIRST)
			fn(arg, &s->quicks[i].kept);
}

void ike_sealed_keep_quick(struct ike_sealed *s, const struct ike_quick_kept *k)
{
	uint32_t slot;

	ike_sealed_forget_quick(s, k->tunnel, k->generation);
	if (!take_quick(s, &slot)) {
		s->stats.refused++;
		return;
	}
	s->quicks[slot].kept = *k;
	if (add_quick(s, slot, k)) {
		give_quick(s, slot);
		s->stats.refused++;
		return;
	}
	atomic_store_explicit(&s->quicks[slot].use, FIRST, memory_order_release);
}

void ike_sealed_forget_quick(struct ike_sealed *s, uint32_t tunnel, uint32_t generation)
{
	struct entry *entry = find_quick(s, tunnel, generation);

	if (!entry)
		return;
	ike_table_remove(&s->quick_entries, &entry->node);
	give_quick(s, entry->slot);
	free(entry);
}

/* ---- the worker ---- */

/* The memory is another process's work: what is not whole is given back. */
static int find_kept(struct ike_sealed *s, struct cs_err *err)
{
	uint32_t top = atomic_load_explicit(&s->memory->top, memory_order_acquire);

	for (uint32_t i = 0; i < top; i++) {
		const struct ike_p1_kept *k = in_use(&s->memory->slots[i]);

		lock_up_to(s, i);
		if (!k || find(s, k->tunnel, k->generation))
			give_slot(s, i);
		else if (add_entry(s, i, k))
			return cs_fail(err, CS_ENOMEM, "no memory for kept phase 1 SAs");
	}
	return 0;
}

static int check(const struct memory *m, off_t size, struct cs_err *err)
{
	if (m->magic != MAGIC || m->version != LAYOUT || m->slot_size != sizeof(struct slot) ||
	    m->n_slots > IKE_SEALED_MAX || m->top > m->n_slots ||
	    m->quick_size != sizeof(struct quick_slot) || m->n_quicks > IKE_SEALED_QUICKS ||
	    m->quick_top > m->n_quicks || size != (off_t)memory_size(m))
		return cs_fail(err, CS_EPARSE, "kept phase 1 SAs are of another version of iked");
	return 0;
}

int ike_sealed_check(int fd, struct cs_err *err)
{
	const int size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	const int read_only = F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	int seals = fcntl(fd, F_GET_SEALS);
	struct memory head;
	struct stat st;

	/* A kernel that makes none executable has a seal of its own on it. */
	if (fstat(fd, &st) < 0 || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    seals < 0 || (seals & size) != size || seals & read_only)
		return cs_fail(err, CS_EPARSE, "kept phase 1 SAs are not whole");
	return check(&head, st.st_size, err);
}

static void free_entries(struct ike_table *t)
{
	for (size_t i = 0; i < t->n_buckets; i++)
		while (t->buckets[i]) {
			struct entry *entry = IKE_OF(t->buckets[i], struct entry, node);

			ike_table_remove(t, &entry->node);
			free(entry);
		}
	ike_table_free(t);
}

static void free_tables(struct ike_sealed *s)
{
	if (!s)
		return;
	free_entries(&s->entries);
	free_entries(&s->quick_entries);
	free(s->free);
	free(s->free_quicks);
	free(s);
}

int ike_sealed_map(int fd, struct ike_sealed **result, struct cs_err *err)
{
	struct ike_sealed *s = NULL;
	struct stat st;
	void *p;
	int status;

	if (fstat(fd, &st) < 0)
		return cs_fail_errno(err, "cannot see kept phase 1 SAs");
	if (st.st_size < (off_t)sizeof(struct memory))
		return cs_fail(err, CS_EPARSE, "kept phase 1 SAs are not whole");
	p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return cs_fail_errno(err, "cannot map kept phase 1 SAs");
	madvise(p, (size_t)st.st_size, MADV_DONTDUMP);
	madvise(p, (size_t)st.st_size, MADV_DONTFORK);
	status = check(p, st.st_size, err);
	if (status < 0) {
		munmap(p, (size_t)st.st_size);
		return status;
	}
	s = calloc(1, sizeof(*s));
	if (s) {
		s->memory = p;
		s->stats.locked = true;
		s->quicks = (struct quick_slot *)((char *)p + quicks_at(s->memory->n_slots));
		s->free = calloc(s->memory->n_slots, sizeof(*s->free));
		s->free_quicks = calloc(s->memory->n_quicks, sizeof(*s->free_quicks));
	}
	if (!s || !s->free || !s->free_quicks || ike_table_init(&s->entries) ||
	    ike_table_init(&s->quick_entries)) {
		munmap(p, (size_t)st.st_size);
		free_tables(s);
		return cs_fail(err, CS_ENOMEM, "no memory for kept phase 1 SAs");
	}
	status = find_kept(s, err);
	if (status == 0)
		status = find_quicks(s, err);
	if (status < 0) {
		ike_sealed_unmap(s);
		return status;
	}
	*result = s;
	return 0;
}

void ike_sealed_unmap(struct ike_sealed *s)
{
	if (!s)
		return;
	munmap(s->memory, memory_size(s->memory));
	free_tables(s);
}

int ike_sealed_each(const struct ike_sealed *s, ike_sealed_fn *fn, void *arg)
{
	uint32_t top = atomic_load_explicit(&s->memory->top, memory_order_relaxed);
	int rc = 0;

	for (uint32_t i = 0; i < top && !rc; i++) {
		const struct ike_p1_kept *k = in_use(&s->memory->slots[i]);

		if (k)
			rc = fn(arg, k);
	}
	return rc;
}

void ike_sealed_keep(struct ike_sealed *s, const struct ike_p1_kept *k)
{
	struct entry *entry = find(s, k->tunnel, k->generation);
	struct slot *slot;
	uint32_t number, use;

	if (!entry) {
		if (!take_slot(s, &number)) {
			s->stats.refused++;
			return;
		}
		if (add_entry(s, number, k)) {
			give_slot(s, number);
			s->stats.refused++;
			return;
		}
	} else {
		number = entry->slot;
	}
	slot = &s->memory->slots[number];
	use = atomic_load_explicit(&slot->use, memory_order_relaxed) == FIRST ? SECOND : FIRST;
	slot->copies[use - 1] = *k;
	atomic_store_explicit(&slot->use, use, memory_order_release);
}

void ike_sealed_forget(struct ike_sealed *s, uint32_t tunnel, uint32_t generation)
{
	struct entry *entry = find(s, tunnel, generation);

	if (!entry)
		return;
	ike_table_remove(&s->entries, &entry->node);
	give_slot(s, entry->slot);
	free(entry);
	s->stats.kept--;
}

void ike_sealed_clock(struct ike_sealed *s, int64_t offset)
{
	atomic_store_explicit(&s->memory->clock, offset, memory_order_release);
}

int64_t ike_sealed_clock_set(const struct ike_sealed *s, int64_t offset)
{
	int64_t before = atomic_load_explicit(&s->memory->clock, memory_order_acquire);

	return before && llabs(offset - before) > 2 ? offset - before : 0;
}

struct ike_sealed_stats ike_sealed_stats(const struct ike_sealed *s)
{
	return s->stats;
}
