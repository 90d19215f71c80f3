/* Names of numbers and bits, for the rows of table.c. Private to smf/. */
#ifndef SMF_NAMES_H
#define SMF_NAMES_H

#include "smf/fields.h"

extern const struct smf_name smf_reasons[];
extern const struct smf_name smf_roles[];
extern const struct smf_name smf_states[];
extern const struct smf_name smf_ext_states[];
extern const struct smf_name smf_modes[];
extern const struct smf_name smf_natt_levels[];
extern const struct smf_name smf_groups[];
extern const struct smf_name smf_id_types[];
extern const struct smf_name smf_auth_methods[];
extern const struct smf_name smf_auth_algs[];
extern const struct smf_name smf_encrypt_algs[];
extern const struct smf_name smf_prfs[];
extern const struct smf_name smf_end_reasons[];
extern const struct smf_name smf_tunnel_types[];
extern const struct smf_name smf_encap_modes[];
extern const struct smf_name smf_auth_protos[];
extern const struct smf_name smf_act_methods[];

extern const struct smf_name smf_ike_tun_flags[];
extern const struct smf_name smf_ip_tun_flags[];
extern const struct smf_name smf_ip_dyn_flags[];
extern const struct smf_name smf_ip_dyn_add_flags[];
extern const struct smf_name smf_ip_dyn_stk_flags[];

#endif
