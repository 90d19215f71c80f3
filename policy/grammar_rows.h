/* The grammar's rows, for the functions of policy/grammar.h alone. */
#ifndef POL_GRAMMAR_ROWS_H
#define POL_GRAMMAR_ROWS_H

#include "policy/grammar.h"

extern const struct pol_statement pol_statement_rows[];
extern const unsigned pol_n_statement_rows;

#endif
