/*
 * The message table.  A macro stands for three arguments of cs_log(): id, severity, printf text.
 * EZD ids are IBM's where IBM documents that message; CSI ids are ours.  Texts are our own wording.
 * An id is used once; its severity and meaning are part of the interface.
 *
 *   CSI0001-0999  common to all daemons
 *   CSI1000-1999  iked, negotiation (the engine)
 *   CSI2000-2999  iked, the daemon around it: ports, worker, store
 *   CSI3000-3999  pagent and the policy language
 *   CSI4000-4999  the kernel: XFRM and nftables
 *   CSI5000-5999  management socket
 *   CSI6000-6099  trmd: outbox and SMF files
 *   CSI6100-6199  trmd: packets that filter rules log
 */
#ifndef CS_MESSAGES_H
#define CS_MESSAGES_H

/* A new message must not move its neighbours about. */
/* clang-format off */

/* ---- common ---- */
#define CSM_STARTED  "CSI0001I", CS_INFO, "%s %s started for stack %s"
#define CSM_STOPPED  "CSI0002I", CS_INFO, "%s stopped"
#define CSM_NO_START "CSI0003E", CS_ERROR, "%s cannot start: %s"

/* ---- iked: negotiation ---- */
#define CSM_P1_START                                                                               \
	"CSI1001I", CS_INFO,                                                                       \
		"IKE version 1.0 phase 1 negotiation in %s with %s started as %s (rule %s)"
#define CSM_P1_UP                                                                                  \
	"CSI1002I", CS_INFO,                                                                       \
		"IKE version 1.0 Security Association %u for tunnel K%u created: rule %s, local %s "    \
		"(%s), remote %s (%s), %s, %u s"
#define CSM_P1_FAILED                                                                              \
	"CSI1003E", CS_ERROR,                                                                      \
		"IKE version 1.0 phase 1 negotiation for tunnel K%u with %s failed (rule %s): %s"
#define CSM_P1_DOWN                                                                                \
	"CSI1004I", CS_INFO,                                                                       \
		"IKE version 1.0 Security Association %u for tunnel K%u with %s deleted: %s"
#define CSM_P1_REFUSED                                                                             \
	"CSI1006W", CS_WARNING, "Phase 1 from %s refused: %s"
#define CSM_WRONG_KEY                                                                              \
	"CSI1007E", CS_ERROR,                                                                      \
		"Message %u from %s does not verify with the preshared key of rule %s (fingerprint %s): "  \
		"the usual cause is a different key at the peer"
#define CSM_HINT                                                                                   \
	"CSI1008I", CS_DEBUG, "Peer %s answered %s (not authenticated) for rule %s"
#define CSM_P1_ENDED                                                                               \
	"CSI1009I", CS_DEBUG,                                                                      \
		"IKE version 1.0 phase 1 negotiation for tunnel K%u with %s ended (rule %s): %s"
#define CSM_INITIAL_CONTACT                                                                        \
	"CSI1010I", CS_INFO, "Peer %s has no other SAs with us any more: %u deleted here"
#define CSM_P2_START                                                                               \
	"CSI1011I", CS_INFO,                                                                       \
		"IKE version 1.0 phase 2 negotiation for tunnel Y%u started as %s (rule %s, %s, by "    \
		"K%u)"
#define CSM_P2_UP                                                                                  \
	"CSI1012I", CS_INFO,                                                                       \
		"IKE version 1.0 Security Association %u for tunnel Y%u created: rule %s, %s, %s, "    \
		"SPI in %08x out %08x, %u s"
#define CSM_P2_AH                                                                                  \
	"CSI1039I", CS_INFO, "Tunnel Y%u has AH around its ESP: SPI in %08x out %08x"
#define CSM_P2_MOVED                                                                               \
	"CSI1060I", CS_INFO,                                                                       \
		"IKE version 1.0 Security Association %u for tunnel Y%u: its peer was at %s and is at %s " \
		"now"
#define CSM_P2_SHORT                                                                               \
	"CSI1044I", CS_INFO,                                                                       \
		"Tunnel Y%u: check values have %u bits, as a PeerQuirk of its KeyExchangeAction says"
#define CSM_P2_FAILED                                                                              \
	"CSI1013E", CS_ERROR,                                                                      \
		"IKE version 1.0 phase 2 negotiation for tunnel Y%u with %s failed (rule %s): %s"
#define CSM_P2_DOWN                                                                                \
	"CSI1014I", CS_INFO,                                                                       \
		"IKE version 1.0 Security Association %u for tunnel Y%u with %s deleted: %s"
#define CSM_P2_REFUSED                                                                             \
	"CSI1015W", CS_WARNING, "Phase 2 from %s (K%u, rule %s) refused: %s"
#define CSM_NOTIFIED                                                                               \
	"CSI1016W", CS_WARNING, "Peer %s notifies %s for tunnel K%u (rule %s)%s"
#define CSM_ACQUIRE_REFUSED                                                                        \
	"CSI1017W", CS_WARNING, "On-demand activation for %s refused: %s"
#define CSM_KERNEL_REFUSED                                                                         \
	"CSI1018E", CS_ERROR, "The kernel refused %s for tunnel Y%u: %s"
#define CSM_LIFE_SHORTENED                                                                         \
	"CSI1019I", CS_INFO, "Peer %s shortened the lifetime of tunnel Y%u to %u s"
#define CSM_RETRANSMIT                                                                             \
	"CSI1020I", CS_DEBUG, "No answer from %s: message %u sent again (%u of %u)"
#define CSM_DROPPED                                                                                \
	"CSI1021I", CS_DEBUG, "%s message from %s dropped: %s"
#define CSM_P2_ENDED                                                                               \
	"CSI1022I", CS_DEBUG,                                                                      \
		"IKE version 1.0 phase 2 negotiation for tunnel Y%u with %s ended (rule %s): %s"
#define CSM_AUTO_FAILED                                                                            \
	"CSI1060W", CS_WARNING,                                                                    \
		"LocalDynVpnRule %s is not active (AutoActivate): %s; it is tried again"
#define CSM_P1_NO_SUCCESSOR "CSI1070W", CS_WARNING, "the phase 1 SA that the peer deleted has no successor: %s"
#define CSM_CLOCK_SET "CSI1071I", CS_NOTICE, "the clock was set by %lld seconds; lifetimes go on as they were"
#define CSM_AUTO_UP "CSI1061I", CS_INFO, "LocalDynVpnRule %s is active now, by tunnel Y%u"
#define CSM_NOT_HELD                                                                               \
	"CSI1023W", CS_WARNING, "The kernel refused to hold what %s sends before it has a tunnel: %s"
#define CSM_CACHE_OVERRULED                                                                        \
	"CSI1024I", CS_INFO,                                                                       \
		"The policy no longer allows what was agreed before, %s: what action %s offers now "   \
		"counts"
#define CSM_REFRESH_FAILED                                                                         \
	"CSI1025W", CS_WARNING, "tunnel %c%u cannot be refreshed now, it is tried again: %s"
#define CSM_PEER_GONE                                                                              \
	"CSI1026W", CS_WARNING,                                                                    \
		"Peer %s (rule %s) is gone: %s; %u phase 1 and %u phase 2 tunnels end with it"
#define CSM_CERT_REFUSED                                                                           \
	"CSI1038E", CS_ERROR,                                                                      \
		"Peer %s refused message 2, which proves our identity with certificate %s (rule %s): %s"
#define CSM_KEY_REFUSED                                                                            \
	"CSI1031E", CS_ERROR,                                                                      \
		"Peer %s refused message 2, which proves the preshared key of rule %s (fingerprint "   \
		"%s): %s; the usual cause is a different key at the peer"
#define CSM_CLIENT_IN                                                                              \
	"CSI1041I", CS_INFO, "User %s of the client at %s is let in: tunnel K%u (rule %s)"
#define CSM_CLIENT_REFUSED                                                                         \
	"CSI1042W", CS_WARNING, "User %s of the client at %s is refused (rule %s): %s"
#define CSM_POOL_EMPTY                                                                             \
	"CSI1043W", CS_WARNING,                                                                    \
		"KeyExchangeAction %s has no free address in its ClientAddressPool for user %s"
#define CSM_NAT_FOUND                                                                              \
	"CSI1050I", CS_INFO, "Tunnel K%u (rule %s): there is a NAT in front of %s, ESP goes in UDP (%s)"
#define CSM_PEER_MOVED                                                                             \
	"CSI1051I", CS_INFO, "The peer of tunnel K%u (rule %s) was at %s and is at %s now"
#define CSM_TAKEOVER_BEGUN                                                                         \
	"CSI1080I", CS_INFO,                                                                       \
		"Takeover of %s begins: %u phase 2 tunnels with %u peers are negotiated anew"
#define CSM_TAKEOVER_DONE                                                                          \
	"CSI1081I", CS_INFO,                                                                       \
		"Takeover ends after %llu ms: %u of %u tunnels are up, %u are awaited, %u given up"
#define CSM_TAKEOVER_PROGRESS                                                                      \
	"CSI1082I", CS_INFO,                                                                       \
		"Takeover after %llu s: %u of %u tunnels are up, %u are negotiated or queued, %u are "  \
		"awaited, %u given up"
#define CSM_TAKEOVER_TRIED                                                                         \
	"CSI1083I", CS_INFO,                                                                       \
		"Takeover: peer %s (rule %s) was tried at its last mapping and does not answer: %u "   \
		"tunnels are awaited, only it can begin now"
#define CSM_TAKEOVER_AWAITED                                                                       \
	"CSI1084I", CS_INFO,                                                                       \
		"Takeover: peer %s (rule %s) is awaited, only it can begin (%s): %u tunnels"
#define CSM_TAKEOVER_NOT                                                                           \
	"CSI1085W", CS_WARNING, "Takeover: tunnel Y%u (rule %s, %s) with %s is given up: %s"
#define CSM_TAKEOVER_RESTS                                                                         \
	"CSI1086W", CS_WARNING,                                                                    \
		"Takeover: peer %s (rule %s) is not reached: %s; %u tunnels wait for a packet, the "    \
		"peer, or the next try"
#define CSM_P1_NOT_ANEW                                                                            \
	"CSI1090I", CS_INFO,                                                                       \
		"Phase 1 with peer %s (rule %s) is not there after the restart, and its tunnels live on " \
		"without it for now: %s"
#define CSM_GIVEN_BACK                                                                             \
	"CSI1087I", CS_INFO,                                                                       \
		"Address %s %s: %u phase 1 and %u phase 2 tunnels end, the peers are %s"
#define CSM_PASSIVE                                                                                \
	"CSI1088I", CS_INFO,                                                                       \
		"Address %s is passive: it is not here, or another host has claimed it; nothing is begun or " \
		"answered there"
#define CSM_NOT_PASSIVE "CSI1089I", CS_INFO, "Address %s is not passive any more"
#define CSM_P1_NO_PROPOSAL                                                                         \
	"EZD1021I", CS_WARNING, "Phase 1 from %s: no proposal chosen (rule %s, action %s): %s"
#define CSM_P2_NO_PROPOSAL                                                                         \
	"EZD1022I", CS_WARNING, "Phase 2 from %s: no proposal chosen (rule %s, action %s): %s"
#define CSM_NOT_P2_INITIATOR                                                                       \
	"EZD1025I", CS_WARNING,                                                                    \
		"Rule %s, action %s does not allow this host to initiate phase 2 (Initiation)"
#define CSM_NOT_P2_RESPONDER                                                                       \
	"EZD1026I", CS_WARNING,                                                                    \
		"Rule %s, action %s does not allow %s to initiate phase 2 (Initiation)"
#define CSM_EXCHANGE_UNSUPPORTED                                                                   \
	"EZD0934I", CS_WARNING, "%s (exchange %u) from %s is not supported"
#define CSM_RULE_CHANGED                                                                           \
	"EZD1785I", CS_INFO,                                                                       \
		"KeyExchangeRule %s takes the place of %s now that the peer's identity is known"
#define CSM_SELECTOR_TYPES                                                                         \
	"EZD1786I", CS_WARNING,                                                                    \
		"IKE version 1.0 cannot negotiate the ICMP type or code of filter rule %s"
#define CSM_ACQUIRE_IKE                                                                            \
	"EZD1920I", CS_WARNING,                                                                    \
		"On-demand activation for IKE's own traffic %s by rule %s: the policy should permit it"

/* ---- iked: the daemon ---- */
#define CSM_IKE_READY	   "EZD1046I", CS_INFO, "IKE daemon is initialized, worker %d runs as %s"
#define CSM_IKE_NO_START   "EZD1045I", CS_ERROR, "IKE daemon cannot be initialized: %s"
#define CSM_IKE_UDP	   "EZD1065I", CS_WARNING, "%s on UDP port %u: %s; %llu failures so far"
#define CSM_IKE_NO_FIPS	   "EZD2017I", CS_ERROR, "FIPS140 is coded, but %s"
#define CSM_WORKER_DIED	   "CSI2001E", CS_ERROR, "worker %d ended by signal %d, a new one starts in %u ms"
#define CSM_WORKER_EXITED  "CSI2002E", CS_ERROR, "worker %d ended with status %d, a new one starts in %u ms"
#define CSM_WORKER_SLOW	   "CSI2003W", CS_WARNING, "worker %d did not end in time and is killed"
#define CSM_NO_IPV6	   "CSI2005W", CS_WARNING, "no IPv6: %s"
#define CSM_NO_FILTER	   "CSI2006W", CS_WARNING, "the worker runs without system call filter: %s"
#define CSM_KERNEL_LACKS   "CSI2007E", CS_ERROR, "this kernel lacks %s"
#define CSM_NO_POLICY	   "CSI2008I", CS_INFO, "no policy is in force yet, waiting for pagent"
#define CSM_POLICY_LATE	   "CSI2009W", CS_WARNING, "no policy after %u seconds (PagentWait), waiting on"
#define CSM_POLICY_LOADED  "CSI2010I", CS_INFO, "policy generation %llu is in force (filter rules: %u, key exchange rules: %u)"
#define CSM_POLICY_FAILED  "CSI2011E", CS_ERROR, "policy cannot be loaded, the one in force stays: %s"
#define CSM_STORE_STUCK	   "CSI2012E", CS_ERROR, "the database cannot be written: %s; %s"
#define CSM_STORE_WORKS	   "CSI2013I", CS_NOTICE, "%s can be written again; %llu records were lost"
#define CSM_STORE_FULL	   "CSI2014E", CS_ERROR, "%s: %u records wait already, more are refused"
#define CSM_STORE_RECORD   "CSI2015E", CS_ERROR, "record %llu cannot be stored: %s"
#define CSM_STORE_LOST	   "CSI2016E", CS_ERROR, "%llu records are lost for good: %s"
#define CSM_STORE_CACHE	   "CSI2017E", CS_ERROR, "the SA cache cannot be read: %s"
#define CSM_STORE_ASIDE	   "CSI2070E", CS_ERROR, "the database cannot be used: %s; it is set aside as %s, and another one has what could be read of it: %u records that trmd has not taken, %u intents, %u phase 1 and %u phase 2 SAs of the cache"
#define CSM_STORE_NOT_WHOLE "CSI2071E", CS_ERROR, "what %s had besides could not be read; records of SAs may be lost, and tunnels that only it knew end with the next start of the worker"
#define CSM_SETTLED	   "CSI2018I", CS_NOTICE, "what the time before left: %u phase 1 and %u phase 2 tunnels live on, %u SAs removed from the kernel, %u pairs were gone, %u intents settled"
#define CSM_SETTLE_FAILED  "CSI2019E", CS_ERROR, "what was left in the kernel cannot be settled: %s"
#define CSM_KERNEL_EVENTS  "CSI2020E", CS_ERROR, "kernel events cannot be read: %s"
#define CSM_RESYNC	   "CSI2021W", CS_WARNING, "the kernel dropped events; compared with %u SAs"
#define CSM_RESYNC_FAILED  "CSI2022E", CS_ERROR, "the SAs in the kernel cannot be read: %s"
#define CSM_NMI_DENIED	   "CSI2023W", CS_WARNING, "request %s of uid %u refused: this user may not control iked"
#define CSM_NMI_CONTROL	   "CSI2024I", CS_INFO, "request %s by uid %u"
#define CSM_KEYPAIR	   "CSI2025W", CS_WARNING, "no key pair for group %u: %s"
#define CSM_STOPPING	   "CSI2026I", CS_INFO, "IKE daemon stops; %s"
#define CSM_CONFIG	   "CSI2027W", CS_WARNING, "%s:%u: %s %s: %s"
#define CSM_NOT_KEPT	   "CSI2038W", CS_WARNING, "phase 1 SAs will not live on over a restart of the worker: %s"
#define CSM_NOT_ADOPTED	   "CSI2039W", CS_WARNING, "tunnel %c%u of the time before does not live on: %s"
#define CSM_NO_DROP        "CSI2028W", CS_WARNING, "the worker keeps root's privileges: %s"
#define CSM_CERTS_RING	   "CSI2040I", CS_INFO, "keyring %s: %u certificates, %u of this host, %u CAs, %u CRLs"
#define CSM_CERTS_NOTE	   "CSI2041W", CS_WARNING, "keyring %s: %s: %s"
#define CSM_CERTS_NO_CA	   "CSI2042W", CS_WARNING, "SupportedCertAuth %s is not on the keyring"
#define CSM_CERTS_NONE	   "CSI2043I", CS_INFO, "no certificates are used: %s"
#define CSM_CERTS_UNUSABLE "CSI2044E", CS_ERROR, "no certificates can be used: %s"
#define CSM_CERTS_NO_FILTER "CSI2045W", CS_WARNING, "the certificate helper runs without system call filter: %s"
#define CSM_HELPER_DIED	   "CSI2046E", CS_ERROR, "%s helper %d ended by signal %d, a new one starts"
#define CSM_HELPER_EXITED  "CSI2047E", CS_ERROR, "%s helper %d ended with status %d, a new one starts"
#define CSM_HELPER_NONE	   "CSI2051E", CS_ERROR, "the %s helper cannot be started now: %s"
#define CSM_CERTS_ENDS	   "CSI2048E", CS_ERROR, "the certificate helper ends: %s"
#define CSM_CERTS_READY	   "CSI2049I", CS_INFO, "the certificate helper answers"
#define CSM_CERTS_SILENT   "CSI2050W", CS_WARNING, "the certificate helper does not do its work: %s"

/* ---- iked: addresses that move ---- */
#define CSM_VIPA_HERE	   "CSI2090I", CS_INFO, "address %s has arrived, its SAs are taken over"
#define CSM_VIPA_GONE	   "CSI2091I", CS_INFO, "address %s has left this host, its SAs end here"
#define CSM_VIPA_OURS	   "CSI2092I", CS_INFO, "address %s is this host's in the shared store, epoch %llu"
#define CSM_VIPA_LOST	   "CSI2093W", CS_WARNING, "address %s was claimed by %s (epoch %llu) and is still here, too: its SAs end here, and nothing is negotiated at it until it arrives anew, or that host lets go of it or is silent"
#define CSM_VIPA_UNREAD	   "CSI2094E", CS_ERROR, "tunnels of address %s cannot be taken over, the shared store cannot be read: %s"
#define CSM_VIPA_WATCH	   "CSI2095E", CS_ERROR, "addresses of this host cannot be watched: %s"
#define CSM_VIPA_VACANT	    "CSI2100I", CS_INFO, "address %s is here, and %s: it is taken as if it had arrived now"
#define CSM_VIPA_REREAD	   "CSI2101I", CS_INFO, "the shared store can be read again, what it has of address %s is taken over"
#define CSM_VIPA_ALONE	   "CSI2102I", CS_INFO, "SharedStore is not coded: addresses move without their SAs being known to other hosts"
#define CSM_NOT_SHARED	   "EZD0831I", CS_WARNING, "Tunnel takeover preparation failed for tunnel ID %c%u: %s"
/* ---- iked: the shared store ---- */
#define CSM_SHARED_ROWS	    "CSI2080W", CS_WARNING, "%u SAs of the shared store at %s are not understood, the first is %s"
#define CSM_SHARED_AWAY	    "CSI2081W", CS_WARNING, "the shared store cannot be reached: %s"
#define CSM_SHARED_BACK	    "CSI2082I", CS_NOTICE, "the shared store is reached"
#define CSM_SHARED_POLICY   "CSI2083W", CS_WARNING, "host %s has another policy in force: tunnels may not be taken over as they are"
#define CSM_SHARED_UNUSABLE "CSI2084E", CS_ERROR, "the shared store cannot be used, and is not until iked is started again: %s"
#define CSM_SHARED_ENDS	    "CSI2085E", CS_ERROR, "the helper of the shared store ends: %s"
#define CSM_SHARED_NO_VIPA   "CSI2103W", CS_WARNING, "SharedStore is coded, and no DynamicVipa: nothing is shared"
#define CSM_SHARED_NO_FILTER "CSI2086W", CS_WARNING, "the helper of the shared store runs without system call filter: %s"

/* ---- pagent ---- */
#define CSM_PA_DONE	      "EZZ8771I", CS_INFO, "local policy processing complete for %s : IPSEC, generation %llu (filter rules: %u, key exchange rules: %u, local tunnel rules: %u)"
#define CSM_PA_ERROR	      "CSI3001E", CS_ERROR, "%s:%u: %s%s%s%s%s"
#define CSM_PA_WARNING	      "CSI3002W", CS_WARNING, "%s:%u: %s%s%s%s%s"
#define CSM_PA_NOTE	      "CSI3003I", CS_INFO, "%s:%u: %s%s%s%s%s"
#define CSM_PA_REFUSED	      "CSI3004E", CS_ERROR, "policy of %s is not put in force, what was in force stays: %s"
#define CSM_PA_UNCHANGED      "CSI3005I", CS_INFO, "policy of %s is as it was, generation %llu"
#define CSM_PA_STORED	      "CSI3006I", CS_INFO, "policy generation %llu of the store is in force until the files are read"
#define CSM_PA_STORE_BAD      "CSI3007E", CS_ERROR, "the policy of the store is not put in force: %s"
#define CSM_PA_NONE	      "CSI3008W", CS_WARNING, "no policy is in force: no filter is installed, nothing is denied or protected"
#define CSM_PA_LACKS	      "CSI3009W", CS_WARNING, "this kernel lacks %s"
#define CSM_PA_INSTALL_FAILED "CSI3010E", CS_ERROR, "%s cannot be installed in the kernel: %s; tried again in %u s"
#define CSM_PA_GONE	      "CSI3011W", CS_WARNING, "%s: somebody removed or changed our nftables table or SPD entries"
#define CSM_PA_RESTORED	      "CSI3012I", CS_NOTICE, "%s: nftables table and SPD entries restored"
#define CSM_PA_OVERRUN	      "CSI3013W", CS_WARNING, "the kernel dropped nftables events; the table is looked at"
#define CSM_PA_EVENTS	      "CSI3014E", CS_ERROR, "nftables events cannot be read: %s; the table is looked at every minute"
#define CSM_PA_TIMES	      "CSI3015I", CS_INFO, "%s: time conditions changed, the filters are installed anew"
#define CSM_PA_NO_WATCH	      "CSI3016W", CS_WARNING, "changes in %s are not noticed: %s"
#define CSM_PA_CHANGED	      "CSI3017I", CS_INFO, "policy files changed, reading %s"
#define CSM_PA_TOLD	      "CSI3018I", CS_INFO, "iked was told of policy generation %llu"
#define CSM_PA_NOT_TOLD	      "CSI3019W", CS_WARNING, "iked could not be told of the new policy: %s"
#define CSM_PA_REQUEST	      "CSI3020I", CS_INFO, "request %s by uid %u"
#define CSM_PA_DENIED	      "CSI3021W", CS_WARNING, "request %s of uid %u refused: not authorized"
#define CSM_PA_STOPPING	      "CSI3022I", CS_INFO, "pagent stops; the filters stay in force in the kernel"
#define CSM_PA_UNDONE	      "CSI3023I", CS_NOTICE, "filters and SPD entries are removed from the kernel"
#define CSM_PA_MTU	      "CSI3024W", CS_WARNING, "the MTU of protected traffic does not follow the interfaces: %s"
#define CSM_PA_MORE	      "CSI3025I", CS_INFO, "%u more findings are not logged; pagent -n %s shows all"
#define CSM_PA_MAN_UP	      "CSI3060I", CS_INFO, "manual tunnel M%u (%s) is active"
#define CSM_PA_MAN_DOWN	      "CSI3061I", CS_INFO, "manual tunnel M%u (%s) is inactive: %s"
#define CSM_PA_MAN_REFUSED    "CSI3062E", CS_ERROR, "manual tunnels are not all as they should be: %s; tried again each minute"
#define CSM_PA_MAN_GONE	      "CSI3063W", CS_WARNING, "somebody removed or changed SAs or SPD entries of manual tunnels; they are restored"
#define CSM_PA_MAN_STATE      "CSI3064W", CS_WARNING, "%s, which remembers what commands said of manual tunnels: %s"
#define CSM_PA_AUDIT	      "CSI3065E", CS_ERROR, "changes of manual tunnels are not recorded yet, and none is activated before they are: %s; tried again each minute"
#define CSM_PA_AUDIT_GOES_ON  "CSI3066I", CS_NOTICE, "changes of manual tunnels are recorded again"
#define CSM_PA_AUDIT_DOUBT    "CSI3067W", CS_WARNING, "manual tunnel M%u (%s) was about to be activated when pagent ended, and is not there: if it was active for a while, that is not recorded"
#define CSM_PA_MAN_UNKNOWN    "CSI3068W", CS_WARNING, "manual tunnel M%u is in the kernel, and neither in the policy nor recorded: it is removed without a record"
#define CSM_PA_AUDIT_OTHER    "CSI3069W", CS_WARNING, "%s is another database than before: tunnels that are active are recorded as such once more, and what trmd had not fetched of the one before is there"
#define CSM_PA_AUDIT_TAKEN    "CSI3059I", CS_NOTICE, "uid %u fetches the records of manual tunnels"
#define CSM_PA_CLIENTS	      "CSI3026W", CS_WARNING, "connections of clients that have gone are not ended: %s"
#define CSM_PA_PROFILE	      "CSI3040I", CS_INFO, "profile %s has %u default filters"
#define CSM_PA_PROFILE_BAD    "CSI3041E", CS_ERROR, "the default filters of profile %s are not used, %s: %s"
#define CSM_PA_DEFAULTS	      "CSI3042W", CS_WARNING, "the default filters of profile %s are in force: %s"
#define CSM_PA_DEFAULTS_LEFT  "CSI3043I", CS_NOTICE, "the default filters are no longer in force"
#define CSM_PA_HELD	      "CSI3044W", CS_WARNING, "policy generation %llu is stored and not in force: the default filters were chosen (ipsec -f reload)"
#define CSM_PA_NO_DEFAULTS    "CSI3045E", CS_ERROR, "the default filters were chosen, and there are none that can be used: the policy is in force"
#define CSM_PA_DIFF	      "CSI3046I", CS_INFO, "generation %llu: filter rules: %s; key exchange rules: %s; local tunnel rules: %s"
#define CSM_PA_BOOT	      "CSI3047I", CS_NOTICE, "boot: %s is in force"
#define CSM_PA_NO_IPSEC	      "CSI3048W", CS_WARNING, "generation %llu has no IPSec policy, and no profile has default filters: the filters that were in force are removed, nothing is denied or protected"
#define CSM_PA_NOT_BACK	      "CSI3050E", CS_ERROR, "policy generation %llu, which the kernel refuses, stays the stored one: %s"
#define CSM_PA_CHOICE_BAD     "CSI3049E", CS_ERROR, "whether the default filters were chosen is not known, and taken as no: %s"
#define CSM_PA_TTLS	      "CSI3070I", CS_INFO, "AT-TLS policy of generation %llu is published (rules: %u)"
#define CSM_PA_TTLS_FAILED    "CSI3071E", CS_ERROR, "AT-TLS policy of generation %llu cannot be published, what was there stays until the next reading: %s"
#define CSM_PA_TTLS_GONE      "CSI3072W", CS_WARNING, "AT-TLS policy is taken away: %s"

/* ---- the kernel ---- */

/* ---- management socket ---- */
#define CSM_NMI_REFUSED	  "CSI5001W", CS_WARNING, "connection of uid %u refused: %u clients already"
#define CSM_NMI_MALFORMED "CSI5002W", CS_WARNING, "connection of uid %u closed: %s"
#define CSM_NMI_SLOW	  "CSI5003W", CS_WARNING, "connection of uid %u closed: %s"
#define CSM_NMI_ACCEPT	  "CSI5004W", CS_WARNING, "a connection could not be accepted: %s"

/* ---- trmd: of SAs, for whoever reads the log as on z/OS ---- */
#define CSM_TR_ADDED	  "EZD0818I", CS_INFO, "Tunnel added: %s vpnaction= %s tunnelID= %s AHSPI= %llu ESPSPI= %llu"
#define CSM_TR_DELETED	  "EZD0812I", CS_INFO, "Tunnel deleted: %s vpnaction= %s tunnelID= %s AHSPI= %llu ESPSPI= %llu"
#define CSM_TR_ACTIVATED  "EZD0819I", CS_INFO, "Tunnel activated: %s vpnaction= %s tunnelID= %s AHSPI= %llu ESPSPI= %llu"
#define CSM_TR_ENDED	  "EZD0820I", CS_INFO, "Tunnel deactivated: %s vpnaction= %s tunnelID= %s AHSPI= %llu ESPSPI= %llu"
#define CSM_TR_IKE_GONE	  "EZD1776I", CS_INFO, "IKE version %s Security Association %llu for tunnel %s deleted"
#define CSM_TR_LOST	  "EZZ9325I", CS_ERROR, "TRMD Log records missing: %s logtype= IKE logmissing= %llu from= %s"

/* ---- trmd: outbox and SMF files ---- */
#define CSM_TR_READY	  "CSI6001I", CS_INFO, "trmd drains %s; SMF records: %s"
#define CSM_TR_STOPPING	  "CSI6002I", CS_INFO, "trmd stops; %llu records were written, of %llu rows; %llu rows were refused, %llu records were lost by iked"
#define CSM_TR_OUTBOX	  "CSI6003W", CS_WARNING, "the outbox is not read: %s; it is tried again"
#define CSM_TR_READS	  "CSI6004I", CS_NOTICE, "the outbox %s is read"
#define CSM_TR_OTHER	  "CSI6005W", CS_WARNING, "%s is another database than the one that was read before: what it has is written from its first row on"
#define CSM_TR_REFUSED	  "CSI6006E", CS_ERROR, "row %llu of the outbox makes no record and stays there: %s"
#define CSM_TR_STUCK	  "CSI6007E", CS_ERROR, "no SMF records are written, and the outbox keeps them: %s"
#define CSM_TR_WRITES	  "CSI6008I", CS_NOTICE, "SMF records are written to %s"
#define CSM_TR_CHECKPOINT "CSI6009E", CS_ERROR, "%s: the checkpoint does not tell what is safe: %s; all that is there is kept, and what the outbox has is written again"
#define CSM_TR_SHORT	  "CSI6010E", CS_ERROR, "%s/%s: %llu bytes were safe, and it has %lld; somebody cut or removed it, another file begins"
#define CSM_TR_TIDY	  "CSI6011E", CS_ERROR, "closed SMF files are not compressed and removed as they should be: %s"
#define CSM_TR_REMOVED	  "CSI6012I", CS_INFO, "SMF files removed, as --keep-files or --keep-days asks: %u"
#define CSM_TR_CONFIG	  "CSI6013W", CS_WARNING, "%s:%u: %s %s: %s"
#define CSM_TR_NO_CONFIG  "CSI6014E", CS_ERROR, "%s; which records are written stays as it was"
#define CSM_TR_NO_NFLOG	  "CSI6103W", CS_WARNING, "packets that filter rules log are not told of: %s"
#define CSM_TR_NO_FILTERS "CSI6104W", CS_WARNING, "pagent does not tell its filters, so lines of packets lack their tunnels, and losses are not known: %s"
#define CSM_TR_NO_COUNTS  "CSI6105W", CS_WARNING, "%s: what was counted of logged packets: %s"
#define CSM_TR_PACKETS	  "CSI6106I", CS_NOTICE, "logged packets: %llu came, %llu were held back, %llu lines were not taken by the log; %llu were lost on the way, the socket was full %llu times; %llu were not ours, %llu not understood"
#define CSM_TR_NO_WATCH	  "CSI6015W", CS_WARNING, "changes in %s are not noticed at once: %s"

/* clang-format on */

#endif
