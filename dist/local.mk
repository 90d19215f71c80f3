# systemd's units, one of each daemon for every stack; installed with --with-systemdsystemunitdir.
UNITS = dist/systemd/csipsec-filters@.service dist/systemd/csipsec-iked@.service \
	dist/systemd/csipsec-pagent@.service dist/systemd/csipsec-trmd@.service
EXTRA_DIST += \
	dist/systemd/csipsec-filters@.service.in dist/systemd/csipsec-iked@.service.in \
	dist/systemd/csipsec-pagent@.service.in dist/systemd/csipsec-trmd@.service.in
if SYSTEMD_UNITS
nodist_systemdsystemunit_DATA = $(UNITS)
endif
CLEANFILES = $(UNITS)

# At make's time: sbindir is known in full only there.
.service.in.service:
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed 's,[@]sbindir[@],$(sbindir),g' $< >$@
# Another --prefix is another sbindir.
$(UNITS): Makefile
SUFFIXES = .service.in .service
