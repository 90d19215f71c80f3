/*
 * The secret arena: memory for keys that is locked, left out of core dumps, not inherited by
 * children, and wiped when given back.  Chunks come from mmap and are cut into slots of one size
 * class; a free slot's first bytes link it into its class's list.
 */
#include "iked/crypto.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

/* Under AddressSanitizer free slots are poisoned, so that a use after put is found here, too. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define CHUNK     (256u * 1024)
#define STEP      32u /* slots are multiples of this */
#define N_CLASSES (IKE_ARENA_MAX / STEP)

struct slot {
	struct slot *next;
};

static struct {
	pthread_mutex_t lock;
	size_t max, mapped, used;
	bool locked; /* every chunk is */
	struct slot *free[N_CLASSES];
	uint8_t *bump, *bump_end; /* the rest of the newest chunk */
} arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint8_t *map_chunk(void)
{
	void *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* Best effort: an old kernel or a small RLIMIT_MEMLOCK must not stop negotiation. */
	madvise(p, CHUNK, MADV_DONTDUMP);
	madvise(p, CHUNK, MADV_WIPEONFORK);
	if (mlock(p, CHUNK) != 0)
		arena.locked = false;
	arena.mapped += CHUNK;
	return p;
}

int ike_arena_init(size_t max_bytes, struct cs_err *err)
{
	int rc = 0;

	pthread_mutex_lock(&arena.lock);
	if (max_bytes < CHUNK) {
		rc = cs_fail(err, CS_EINVAL, "an arena of %zu bytes is less than a chunk of %u",
			     max_bytes, CHUNK);
	} else if (arena.mapped == 0) {
		arena.locked = true;
		arena.bump = map_chunk();
		if (!arena.bump)
			rc = cs_fail_errno(err, "cannot map memory for secrets");
		else
			arena.bump_end = arena.bump + CHUNK;
	}
	if (rc == 0)
		arena.max = max_bytes;
	pthread_mutex_unlock(&arena.lock);
	return rc;
}

static unsigned class_of(size_t size)
{
	return (unsigned)((size + STEP - 1) / STEP) - 1;
}

/* Links a free slot of len bytes into its list; only the link may be touched from now on. */
static void give(void *p, size_t len)
{
	unsigned c = class_of(len);
	struct slot *s = p;

	ASAN_UNPOISON_MEMORY_REGION(p, sizeof(*s));
	s->next = arena.free[c];
	arena.free[c] = s;
	ASAN_POISON_MEMORY_REGION(s + 1, len - sizeof(*s));
}

/* A slot from the rest of the chunk, or of a new one; what the old one has left goes to the lists.
 */
static void *cut(size_t len)
{
	uint8_t *p;

	if ((size_t)(arena.bump_end - arena.bump) < len) {
		if (arena.mapped + CHUNK > arena.max)
			return NULL;
		p = map_chunk();
		if (!p)
			return NULL;
		if (arena.bump < arena.bump_end)
			give(arena.bump, (size_t)(arena.bump_end - arena.bump));
		arena.bump = p;
		arena.bump_end = p + CHUNK;
	}
	p = arena.bump;
	arena.bump += len;
	return p;
}

void *ike_arena_get(size_t size)
{
	unsigned c = class_of(size);
	struct slot *s;
	void *p;

	if (size == 0 || size > IKE_ARENA_MAX)
		return NULL;
	pthread_mutex_lock(&arena.lock);
	s = arena.free[c];
	if (s) {
		arena.free[c] = s->next;
		s->next = NULL; /* all else in it is zero since it was wiped */
		p = s;
	} else {
		p = cut((c + 1) * (size_t)STEP);
	}
	if (p) {
		arena.used += (c + 1) * (size_t)STEP;
		ASAN_POISON_MEMORY_REGION(p, (c + 1) * (size_t)STEP);
		ASAN_UNPOISON_MEMORY_REGION(p, size);
	}
	pthread_mutex_unlock(&arena.lock);
	return p;
}

void ike_arena_put(void *p, size_t size)
{
	size_t len = (class_of(size) + 1) * (size_t)STEP;

	if (!p || size == 0 || size > IKE_ARENA_MAX)
		return;
	ASAN_UNPOISON_MEMORY_REGION(p, len);
	cs_wipe(p, len);
	pthread_mutex_lock(&arena.lock);
	give(p, len);
	arena.used -= len;
	pthread_mutex_unlock(&arena.lock);
}

size_t ike_arena_used(void)
{
	size_t used;

	pthread_mutex_lock(&arena.lock);
	used = arena.used;
	pthread_mutex_unlock(&arena.lock);
	return used;
}

bool ike_arena_locked(void)
{
	bool locked;

	pthread_mutex_lock(&arena.lock);
	locked = arena.mapped > 0 && arena.locked;
	pthread_mutex_unlock(&arena.lock);
	return locked;
}
