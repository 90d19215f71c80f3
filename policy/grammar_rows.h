/* The grammar's rows, for the functions of policy/grammar.h alone. */
#ifndef POL_GRAMMAR_ROWS_H
#define POL_GRAMMAR_ROWS_H

#include "policy/grammar.h"

extern const struct pol_statement pol_statement_rows[];
extern const unsigned pol_n_statement_rows;

/* grammar_ttls.c: parameters of its statements */
extern const struct pol_param pol_port_range_rows[];
extern const struct pol_param pol_port_group_rows[];
extern const struct pol_param pol_ttls_rule_rows[];
extern const struct pol_param pol_ttls_group_action_rows[];
extern const struct pol_param pol_ttls_group_advanced_rows[];
extern const struct pol_param pol_ttls_environment_action_rows[];
extern const struct pol_param pol_ttls_keyring_rows[];
extern const struct pol_param pol_ttls_environment_advanced_rows[];
extern const struct pol_param pol_ttls_connection_action_rows[];
extern const struct pol_param pol_ttls_connection_advanced_rows[];
extern const struct pol_param pol_ttls_cipher_parms_rows[];
extern const struct pol_param pol_ttls_signature_parms_rows[];
extern const struct pol_param pol_ttls_gsk_advanced_rows[];
extern const struct pol_param pol_ttls_gsk_ldap_rows[];
extern const struct pol_param pol_ttls_gsk_ocsp_rows[];
extern const struct pol_param pol_ttls_gsk_http_rows[];

#endif
