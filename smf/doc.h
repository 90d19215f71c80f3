/* docs/smf119.md, of the rows. Private to smf/. */
#ifndef SMF_DOC_H
#define SMF_DOC_H

#include <stdio.h>

void smf_doc(FILE *out);

#endif
