/*
 * Names, addresses and classes of interfaces by their index, read from the kernel once in five
 * seconds at most, because a flood of packets asks for them.
 */
#ifndef TRMD_INTERFACES_H
#define TRMD_INTERFACES_H

#include <net/if.h>

#include "common/addr.h"

struct trmd_interfaces;

struct trmd_interfaces *trmd_interfaces_new(void); /* NULL: no memory */
void trmd_interfaces_free(struct trmd_interfaces *t);
/* "" where there is no such interface (any more), or index is 0. */
void trmd_interfaces_name(struct trmd_interfaces *t, uint32_t index, char name[static IF_NAMESIZE]);
/* Its first address of the family, in IPv6 one of the whole network if there is; else family 0. */
struct cs_addr trmd_interfaces_addr(struct trmd_interfaces *t, uint32_t index, uint8_t family);
/* Its security class: its group, 1 to 255, and 255 for group 0. 0 where it is not known. */
unsigned trmd_interfaces_class(struct trmd_interfaces *t, uint32_t index);
/* Is it an address of this host, or one that all or many hosts listen to? */
bool trmd_interfaces_local(struct trmd_interfaces *t, const struct cs_addr *addr);

#endif
