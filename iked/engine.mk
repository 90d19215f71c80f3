# engine: the negotiation engine, compiled into libike.a (iked/wire.mk).
IKE_ENGINE_SOURCES = \
	iked/acquire.c \
	iked/commands.c \
	iked/engine.c iked/engine.h iked/engine_private.h \
	iked/engine_log.c \
	iked/half_open.c \
	iked/ident.c \
	iked/informational.c \
	iked/jobs.c \
	iked/main_mode.c \
	iked/notify.c \
	iked/phase1.c \
	iked/phase2.c \
	iked/protect.c \
	iked/quick_mode.c iked/quick_mode_init.c iked/quick_mode_resp.c \
	iked/resync.c \
	iked/retransmit.c \
	iked/sa.c iked/sa_p2.c \
	iked/table.c iked/table.h \
	iked/timer.c iked/timer.h \
	iked/views.c
