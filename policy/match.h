/* What matching and displays share. Private to policy/. */
#ifndef POL_MATCH_H
#define POL_MATCH_H

#include <stdbool.h>
#include <stdint.h>

bool pol_ports_any(const uint16_t ports[2]); /* 0 and 0, or 0 and 65535 */

#endif
