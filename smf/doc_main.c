/* Prints docs/smf119.md. */
#include <stdio.h>

#include "smf/doc.h"

int main(void)
{
	smf_doc(stdout);
	return fclose(stdout) != 0;
}
