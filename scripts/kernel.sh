# shellcheck shell=bash
# The kernel that the lab runs on: the running one where it can do ESP and nftables, else a
# User-Mode Linux built once from Debian's kernel source and kept outside the clone.

# Lines that the build prints, for the progress shown.
KERNEL_STEPS=1640

# Of the package that is installed, or would be.
kernel_version() {
	local version
	version=$(dpkg-query -W -f='${Version}' linux-source-6.1 2>/dev/null || :)
	[ -n "$version" ] || version=$(apt-cache show --no-all-versions linux-source-6.1 2>/dev/null |
		sed -n 's/^Version: //p')
	printf '%s' "$version"
}

# Named by what it is made of.
kernel_path() {
	local hash
	hash=$( (cat tests/lab/kernel.config && kernel_version) | sha256sum)
	printf '%s/kernel-%s' "$cache" "${hash:0:16}"
}

build_kernel() {
	local path
	path=$(kernel_path)
	[ ! -x "$path" ] || return 0
	need_packages "${KERNEL_PACKAGES[@]}"
	path=$(kernel_path)
	[ ! -x "$path" ] || return 0
	mkdir -p "$cache"
	# One build at a time; who waited for another finds the kernel made.
	(
		flock 9
		[ -x "$path" ] || build_kernel_locked "$path"
	) 9>"$cache/lock"
}

build_kernel_locked() {
	local path=$1 scratch began=$SECONDS worker
	rm -rf "$cache"/building.*
	scratch=$(mktemp -d "$cache/building.XXXXXX")
	say "Building the lab kernel from linux-source-6.1 $(kernel_version), once; 5 to 10 minutes on 2 CPUs."
	kernel_make "$scratch" >"$scratch/log" 2>&1 &
	worker=$!
	# shellcheck disable=SC2064 # the values of now
	trap "kill $worker 2>/dev/null; rm -rf '$scratch'; exit 130" INT TERM
	while kill -0 "$worker" 2>/dev/null; do
		sleep 1
		[ $(((SECONDS - began) % 20)) -ne 0 ] || kernel_progress "$scratch/log" $((SECONDS - began))
	done
	if ! wait "$worker"; then
		tail -n 20 "$scratch/log" >&2
		cp "$scratch/log" "$cache/kernel-failed.log"
		rm -rf "$scratch"
		die "the kernel build failed; all of its output is in $cache/kernel-failed.log"
	fi
	# Complete or not there at all.
	mv "$scratch/linux-uml" "$path"
	rm -rf "$scratch"
	trap - INT TERM
	say "  built in $((SECONDS - began)) s"
}

kernel_progress() {
	local steps
	steps=$(grep -cE '^ +(CC|AR|AS|LD) ' "$1" || :)
	say "  $2 s: $steps of about $KERNEL_STEPS steps"
}

kernel_make() {
	local dir=$1
	set -e
	tar -xf /usr/src/linux-source-6.1.tar.xz -C "$dir"
	cd "$dir/linux-source-6.1"
	# Bytes that the CPU's registers take, beyond the 2696 without AMX: where the host's kernel has
	# more than that, it refuses to set fewer.
	sed -i 's/HOST_FP_SIZE, 2696/HOST_FP_SIZE, 12288/' arch/x86/um/user-offsets.c
	make -s ARCH=um x86_64_defconfig
	scripts/kconfig/merge_config.sh -m .config "$top/tests/lab/kernel.config"
	make -s ARCH=um olddefconfig
	make ARCH=um -j"$jobs" linux
	strip -o "$dir/linux-uml.new" linux
	mv "$dir/linux-uml.new" "$dir/linux-uml"
}

# Tried, not guessed: an ESP SA and an nftables inet table in a namespace of their own.
native_kernel_can() {
	unshare --net sh -c '
		ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 mode transport \
			enc "cbc(aes)" 0x00112233445566778899aabbccddeeff \
			auth-trunc "hmac(sha256)" \
			0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff 128 &&
		nft "add table inet t; add chain inet t c { type filter hook output priority 0; };
			add rule inet t c rt ipsec missing drop"' >/dev/null 2>&1
}

# Sets lab_kernel to "native" or to the lab kernel's path.
pick_kernel() {
	if native_kernel_can; then
		lab_kernel=native
		return
	fi
	build_kernel
	lab_kernel=$(kernel_path)
	say "This kernel lacks ESP or nftables, or we may not use them: running in the lab kernel."
}
