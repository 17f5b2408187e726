# make install, uninstall, dist and deb. Read by the top-level Makefile.

.PHONY: install uninstall dist deb check-deb

INSTALL := install
unitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
completiondir = $(datadir)/bash-completion/completions
zshdir = $(datadir)/zsh/site-functions
confdir = $(sysconfdir)/ultrabalancer
man_pages := $(sort $(notdir $(wildcard $(srcdir)/man/*.[1-9])))
examples := $(sort $(foreach format,yaml toml ini,$(wildcard $(srcdir)/conf/*.$(format))))
# What README and the man pages refer to, below docdir.
documents := README.md LICENSE CHANGELOG.md CONTRIBUTING.md $(sort $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/docs/*.md $(srcdir)/docs/*.png)))

# Puts the chosen places into a file's text. Man pages and examples name those of an installation without options.
places = sed -e 's|/run/ultrabalancer\.|$(runstatedir)/ultrabalancer.|g' -e 's|@sbindir@|$(sbindir)|g' -e 's|@confdir@|$(confdir)|g' -e 's|@runstatedir@|$(runstatedir)|g' \
	-e 's|@localstatedir@|$(localstatedir)|g' -e 's|/usr/local/etc/ultrabalancer|$(confdir)|g' \
	-e 's|/usr/local/var/log|$(localstatedir)/log|g' -e 's|/usr/local/share/doc/ultrabalancer|$(docdir)|g'
put = $(places) $(1) > $(DESTDIR)$(2) && chmod 644 $(DESTDIR)$(2)

install: all
	$(Q)$(if $(binary),,echo "there is no binary to install: src/main.cc is missing" >&2; exit 1)
	$(call say,INSTALL,$(DESTDIR)$(sbindir)/ultrabalancer)
	$(Q)$(INSTALL) -d $(DESTDIR)$(sbindir) $(DESTDIR)$(confdir) $(DESTDIR)$(unitdir) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(completiondir) $(DESTDIR)$(zshdir) \
	  $(DESTDIR)$(sysconfdir)/logrotate.d $(DESTDIR)$(docdir)/examples $(DESTDIR)$(docdir)/docs
	$(Q)$(INSTALL) -m 755 $(O)/ultrabalancer $(DESTDIR)$(sbindir)/ultrabalancer
	$(Q)set -e; for page in $(man_pages); do dir=$(DESTDIR)$(mandir)/man$${page##*.}; $(INSTALL) -d $$dir; \
	  $(places) $(srcdir)/man/$$page > $$dir/$$page; chmod 644 $$dir/$$page; done
	$(Q)$(call put,$(srcdir)/conf/ultrabalancer.yaml,$(confdir)/ultrabalancer.yaml.default)
	$(Q)if [ -e $(DESTDIR)$(confdir)/ultrabalancer.yaml ]; then \
	  echo "  kept    $(DESTDIR)$(confdir)/ultrabalancer.yaml (the new default: ultrabalancer.yaml.default)"; \
	  else cp $(DESTDIR)$(confdir)/ultrabalancer.yaml.default $(DESTDIR)$(confdir)/ultrabalancer.yaml; fi
	$(Q)$(call put,$(srcdir)/conf/ultrabalancer.service.in,$(unitdir)/ultrabalancer.service)
	$(Q)$(INSTALL) -m 644 $(srcdir)/conf/ultrabalancer.sysusers $(DESTDIR)$(sysusersdir)/ultrabalancer.conf
	$(Q)$(call put,$(srcdir)/conf/ultrabalancer.logrotate.in,$(sysconfdir)/logrotate.d/ultrabalancer)
	$(Q)$(INSTALL) -m 644 $(srcdir)/conf/ultrabalancer.bash-completion $(DESTDIR)$(completiondir)/ultrabalancer
	$(Q)$(INSTALL) -m 644 $(srcdir)/conf/ultrabalancer.zsh-completion $(DESTDIR)$(zshdir)/_ultrabalancer
	$(Q)for file in $(documents); do $(INSTALL) -m 644 $(srcdir)/$$file $(DESTDIR)$(docdir)/$$file || exit; done
	$(Q)$(INSTALL) -m 644 $(examples) $(DESTDIR)$(docdir)/examples

# A configuration that was changed is kept. Directories go when they are empty.
uninstall:
	$(Q)rm -f $(DESTDIR)$(sbindir)/ultrabalancer $(DESTDIR)$(unitdir)/ultrabalancer.service $(DESTDIR)$(sysusersdir)/ultrabalancer.conf \
	  $(DESTDIR)$(sysconfdir)/logrotate.d/ultrabalancer $(DESTDIR)$(completiondir)/ultrabalancer $(DESTDIR)$(zshdir)/_ultrabalancer
	$(Q)for page in $(man_pages); do rm -f $(DESTDIR)$(mandir)/man$${page##*.}/$$page; done
	$(Q)rm -f $(foreach file,$(documents) $(addprefix examples/,$(notdir $(examples))),\
	  $(DESTDIR)$(docdir)/$(file))
	$(Q)cd $(DESTDIR)$(confdir) 2>/dev/null || exit 0; \
	  if cmp -s ultrabalancer.yaml ultrabalancer.yaml.default; then rm -f ultrabalancer.yaml; \
	  elif [ -e ultrabalancer.yaml ]; then echo "  kept    $(DESTDIR)$(confdir)/ultrabalancer.yaml (it was changed)"; fi; \
	  rm -f ultrabalancer.yaml.default
	$(Q)rmdir $(DESTDIR)$(docdir)/examples $(DESTDIR)$(docdir)/docs $(DESTDIR)$(docdir) $(DESTDIR)$(confdir) 2>/dev/null || true

# Of what git knows, or, in an unpacked tarball, of all but what was built. The same tree gives the same bytes.
dist_name := ultrabalancer-$(VERSION)
dist:
	$(call say,DIST,$(dist_name).tar.gz)
	$(Q)set -e; out=$(CURDIR)/$(dist_name).tar.gz; cd $(srcdir); \
	  if [ -e .git ] && git ls-files >/dev/null 2>&1; then epoch=$$(git log -1 --format=%ct); list='git ls-files -z'; \
	  else epoch=$$(stat -c %Y configure.ac); \
	    list='find . -type f ! -path ./objs/* ! -name config.status ! -name config.log ! -name *.tar.gz -printf %P\0'; fi; \
	  set -f; $$list | LC_ALL=C sort -z | tar --null --no-recursion -T - --owner=0 --group=0 --numeric-owner \
	    --mode=u+rw,go+r,go-w --mtime=@$${SOURCE_DATE_EPOCH:-$$epoch} --transform='s|^|$(dist_name)/|S' \
	    -I 'gzip -9n' -cf $$out

# The Debian package, in objs/deb.
deb: dist
	$(Q)$(srcdir)/build/make-deb $(srcdir) $(CURDIR)/$(dist_name).tar.gz $(VERSION) $(abspath $(O))/deb

# Installs the package on this machine, tries it, and purges it. Root.
check-deb:
	$(Q)$(srcdir)/build/check-deb $(abspath $(O))/deb/ultrabalancer_$(VERSION)_*.deb
