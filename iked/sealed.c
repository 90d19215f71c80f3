/*
 * Memory that outlives the worker: slots of two copies each.  The copy that is not in use is
 * written, then one store makes it the one in use; so a process may die between any two
 * instructions.
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
#define LAYOUT 4u
#define CHUNK  128u /* slots that are locked at once */

enum { FREE = 0, FIRST = 1, SECOND = 2 };

struct slot {
	_Atomic uint32_t use; /* FREE, or which copy */
	struct ike_p1_kept copies[2];
};

struct memory {
	uint32_t magic, version, slot_size, n_slots;
	_Atomic uint32_t top; /* slots from here on were never used; to look at one costs a page */
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
	struct ike_sealed_stats stats;
};

static size_t memory_size(uint32_t n_slots)
{
	return sizeof(struct memory) + (size_t)n_slots * sizeof(struct slot);
}

/* ---- the parent ---- */

int ike_sealed_create(int *result, struct cs_err *err)
{
	struct memory head = {MAGIC, LAYOUT, sizeof(struct slot), IKE_SEALED_MAX, 0};
	int fd = memfd_create("iked-phase1", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return cs_fail_errno(err, "cannot make memory for phase 1 SAs");
	if (ftruncate(fd, (off_t)memory_size(IKE_SEALED_MAX)) < 0 ||
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

/* Best effort: a small RLIMIT_MEMLOCK must not stop negotiation. */
static void lock_up_to(struct ike_sealed *s, uint32_t slot)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from, to;

	while (s->n_locked <= slot && s->n_locked < s->memory->n_slots) {
		from = (uintptr_t)&s->memory->slots[s->n_locked] & ~(page - 1);
		s->n_locked += CHUNK;
		if (s->n_locked > s->memory->n_slots)
			s->n_locked = s->memory->n_slots;
		to = (uintptr_t)&s->memory->slots[s->n_locked];
		if (mlock((void *)from, to - from) < 0)
			s->stats.locked = false;
	}
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
	    size != (off_t)memory_size(m->n_slots))
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
		s->free = calloc(s->memory->n_slots, sizeof(*s->free));
	}
	if (!s || !s->free || ike_table_init(&s->entries)) {
		munmap(p, (size_t)st.st_size);
		if (s)
			free(s->free);
		free(s);
		return cs_fail(err, CS_ENOMEM, "no memory for kept phase 1 SAs");
	}
	status = find_kept(s, err);
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
	for (size_t i = 0; i < s->entries.n_buckets; i++)
		while (s->entries.buckets[i]) {
			struct entry *entry = IKE_OF(s->entries.buckets[i], struct entry, node);

			ike_table_remove(&s->entries, &entry->node);
			free(entry);
		}
	ike_table_free(&s->entries);
	munmap(s->memory, memory_size(s->memory->n_slots));
	free(s->free);
	free(s);
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

struct ike_sealed_stats ike_sealed_stats(const struct ike_sealed *s)
{
	return s->stats;
}
