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
 */
#ifndef CS_MESSAGES_H
#define CS_MESSAGES_H

/* ---- common ---- */
#define CSM_STARTED  "CSI0001I", CS_INFO, "%s %s started for stack %s"
#define CSM_STOPPED  "CSI0002I", CS_INFO, "%s stopped"
#define CSM_NO_START "CSI0003E", CS_ERROR, "%s cannot start: %s"

/* ---- iked: negotiation ---- */

/* ---- iked: the daemon ---- */

/* ---- pagent ---- */

/* ---- the kernel ---- */

/* ---- management socket ---- */
#define CSM_NMI_REFUSED	  "CSI5001W", CS_WARNING, "connection of uid %u refused: %u clients already"
#define CSM_NMI_MALFORMED "CSI5002W", CS_WARNING, "connection of uid %u closed: %s"
#define CSM_NMI_SLOW	  "CSI5003W", CS_WARNING, "connection of uid %u closed: %s"
#define CSM_NMI_ACCEPT	  "CSI5004W", CS_WARNING, "a connection could not be accepted: %s"

#endif
