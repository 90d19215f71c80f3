# shellcheck shell=bash
# libreswan for the lab.  Debian does not let it be installed beside strongSwan, so it is unpacked into
# the cache with those of its libraries that are missing, and run from there.

LIBRESWAN_TOOLS=libnss3-tools # certutil makes its database
libreswan= # the directory, once need_libreswan has run

# The libraries that a package depends on; of alternatives the first.
library_depends() {
	apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Depends: //p' | tr ',' '\n' |
		sed 's/|.*//; s/(.*//; s/[[:space:]]//g; s/:any$//' | grep '^lib' || :
}

# libreswan's packages that are not installed, and those that they need, one a line.
libreswan_packages() {
	local -A seen=()
	local todo=(libreswan "$LIBRESWAN_TOOLS") p found
	while [ "${#todo[@]}" -gt 0 ]; do
		p=${todo[0]}
		todo=("${todo[@]:1}")
		[ -z "${seen[$p]:-}" ] || continue
		seen[$p]=yes
		printf '%s\n' "$p"
		mapfile -t found < <(library_depends "$p")
		mapfile -t found < <(missing_packages "${found[@]}")
		todo+=("${found[@]}")
	done
}

libreswan_version() {
	apt-cache show --no-all-versions libreswan 2>/dev/null | sed -n 's/^Version: //p'
}

# Sets libreswan to the directory; unpacks it once a version.
need_libreswan() {
	local version
	version=$(libreswan_version)
	if [ -z "$version" ]; then
		apt-get update >"$build/packages.log" 2>&1 || :
		version=$(libreswan_version)
	fi
	[ -n "$version" ] || die "apt knows no package libreswan; is there a Debian mirror?"
	libreswan=$cache/libreswan-${version//[^a-zA-Z0-9.+-]/_}
	[ ! -d "$libreswan" ] || return 0
	mkdir -p "$cache"
	# One at a time; who waited for another finds it there.
	(
		flock 9
		[ -d "$libreswan" ] || unpack_libreswan
	) 9>"$cache/lock"
}

unpack_libreswan() {
	local scratch packages lost deb
	say "Unpacking libreswan ${libreswan##*libreswan-} into ${libreswan%/*}"
	rm -rf "$cache"/unpacking.* # of runs that failed; the lock is ours
	scratch=$(mktemp -d "$cache/unpacking.XXXXXX")
	mapfile -t packages < <(libreswan_packages)
	(cd "$scratch" && apt-get download -q "${packages[@]}") >"$build/packages.log" 2>&1 ||
		die "apt-get download failed: $(tail -n 3 "$build/packages.log" | tr '\n' ' ')"
	for deb in "$scratch"/*.deb; do
		dpkg -x "$deb" "$scratch/root"
	done
	lost=$(LD_LIBRARY_PATH=$(echo "$scratch"/root/usr/lib/*-linux-gnu*) \
		ldd "$scratch/root/usr/libexec/ipsec/pluto" | grep 'not found' || :)
	[ -z "$lost" ] || die "libreswan lacks libraries: $lost"
	# Complete or not there at all.
	mv "$scratch/root" "$libreswan"
	rm -rf "$scratch"
}
