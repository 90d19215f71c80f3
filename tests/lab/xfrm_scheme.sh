#!/bin/bash
# The kernel scheme (docs/architecture.md, "The kernel") held against a real kernel: two network
# namespaces, a small policy, SAs keyed by hand.  Each claim is one line, "ok" or "FAILED"; the exit
# status is the number of failures.  Needs root, ESP and nftables; takes about 80 seconds.
# usage: xfrm_scheme.sh PATH-OF-xfrm_lab
# shellcheck disable=SC2317,SC2016 # claim and the trap call functions; $ is awk's
set -u
lab=$1
work=$(mktemp -d) || exit 1
failures=0
pids=()

cleanup() {
	for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
	ip netns del xsA 2>/dev/null
	ip netns del xsB 2>/dev/null
	ip netns del xsC 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

A() { ip netns exec xsA "$@"; }
B() { ip netns exec xsB "$@"; }
C() { ip netns exec xsC "$@"; }

# Waits until a program that runs in the background has said that it listens.
ready() { # word file
	for _ in {1..100}; do
		grep -q "$1" "$2" && return
		sleep 0.05
	done
	echo "nobody said '$1'"
	exit 1
}

claim() { # text, command...
	local text=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		echo "ok      $text"
	else
		echo "FAILED  $text"
		sed 's/^/        | /' "$work/out" | head -20
		failures=$((failures + 1))
	fi
}
not() { ! "$@"; }
pings() { ip netns exec "$1" ping -c1 -W1 -q "$2"; } # namespace address
stat() { ip netns exec "$1" awk -v n="$2" '$1 == n { print $2 }' /proc/net/xfrm_stat; }
count() { ip netns exec "$1" "$lab" counts | awk -v r="$2" -v d="$3" \
	'$2 == r && $5 == d { print $7 }'; }

# What crosses the wire while a command runs: only ESP | only clear.
wire() { # esp|clear command...
	local want=$1 pid
	shift
	ip netns exec xsA tcpdump -lni "${link:-va}" -Q out 'ip proto 50 or ip6 proto 50 or icmp or tcp or
		(icmp6 and (ip6[40] == 128 or ip6[40] == 129)) or udp' 2>"$work/tcpdump" >"$work/seen" &
	pid=$!
	ready listening "$work/tcpdump"
	"$@" >/dev/null 2>&1
	sleep 0.3
	kill "$pid"
	wait "$pid" 2>/dev/null
	sed -n 1,20p "$work/seen"
	local esp clear
	esp=$(grep -c 'ESP(' "$work/seen")
	clear=$(grep -v 'ESP(' "$work/seen" | grep -c ' > ')
	case $want in
	esp) [ "$esp" -gt 0 ] && [ "$clear" -eq 0 ] ;;
	clear) [ "$esp" -eq 0 ] && [ "$clear" -gt 0 ] ;;
	nothing) [ "$esp" -eq 0 ] && [ "$clear" -eq 0 ] ;;
	esac
}

cat >"$work/tcp.py" <<'P'
import socket, sys
mode, address, port, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
if mode == "serve":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(5)
    while True:
        c, _ = s.accept()
        n = 0
        while True:
            d = c.recv(65536)
            if not d:
                break
            n += len(d)
        c.sendall(b"%d" % n)
        c.close()
s.settimeout(2.5)
s.connect((address, port))
print("from", s.getsockname()[0], "mss", s.getsockopt(socket.IPPROTO_TCP, 2))
s.sendall(b"x" * size)
s.shutdown(1)
got = int(s.recv(100))
print("arrived", got, "mss", s.getsockopt(socket.IPPROTO_TCP, 2))
sys.exit(got != size)
P
serve() { # namespace address port
	ip netns exec "$1" python3 "$work/tcp.py" serve "$2" "$3" 0 &
	pids+=($!)
}
tcp() { A timeout 8 python3 "$work/tcp.py" send "$1" "$2" "$3"; } # address port size

acquires() { # command...; the acquires it raises, in $work/acq
	local pid
	ip netns exec xsA "$lab" watch 2 >"$work/acq" &
	pid=$!
	ready watching "$work/acq"
	"$@" >/dev/null 2>&1
	wait "$pid"
	sed -i /watching/d "$work/acq"
	cat "$work/acq"
}
raises_none() { acquires "$@" && [ ! -s "$work/acq" ]; }
raises_some() { acquires "$@" && grep -q "acquire rule 16 " "$work/acq"; }

for n in xsA xsB xsC; do
	ip netns add $n
	ip -n $n link set lo up
done
ip link add va netns xsA type veth peer name vb netns xsB
ip link add vac netns xsA type veth peer name vc netns xsC
ip -n xsA addr add 10.9.0.1/24 dev va
ip -n xsA addr add fd09::1/64 dev va nodad
ip -n xsB addr add 10.9.0.2/24 dev vb
ip -n xsB addr add fd09::2/64 dev vb nodad
ip -n xsC addr add 10.9.1.3/24 dev vc
ip -n xsC addr add fd09:1::3/64 dev vc nodad
ip -n xsA addr add fd09:1::1/64 dev vac nodad
ip -n xsA link set va up
ip -n xsB link set vb up
ip -n xsA link set vac up
ip -n xsC link set vc up
# C is somebody whom the policy does not protect; later it is a host behind the gateway A.
ip -n xsA route add 10.9.1.0/24 dev vac src 10.9.0.1
ip -n xsA -6 route replace fd09:1::/64 dev vac src fd09::1 metric 1
ip -n xsC route add 10.9.0.0/24 dev vc
ip -n xsC -6 route add fd09::/64 via fd09:1::1
for n in xsA xsB; do
	ip netns exec $n sysctl -qw net.ipv4.conf.all.rp_filter=1
done
all_a=(10.9.0.1 10.9.0.2 fd09::1 fd09::2)
all_b=(server 10.9.0.2 10.9.0.1 fd09::2 fd09::1)
serve xsB 10.9.0.2 80; serve xsB fd09::2 80; serve xsB 10.9.0.2 23
serve xsB 10.9.0.2 5000; serve xsB fd09::2 5000

claim "this kernel can do it" A "$lab" probe
claim "an ordinary connection works before" pings xsA 10.9.0.2
claim "the policy goes in" A "$lab" install "${all_a[@]}"
claim "the policy goes in at the other end" B "$lab" install "${all_b[@]}"
claim "it says that it is installed" A "$lab" installed "${all_a[@]}"
claim "doing it again changes nothing" A "$lab" install "${all_a[@]}"
spd=$(ip -n xsA xfrm policy | grep -vc 'socket')

echo "# before there is an SA"
claim "a permitted port goes in clear and raises no acquire" raises_none tcp 10.9.0.2 80 100000
claim "... over IPv6" raises_none tcp fd09::2 80 100000
claim "a denied port raises no acquire" raises_none tcp 10.9.0.2 23 1
claim "... and is counted at its rule" test "$(count xsA 1 out)" -gt 0
claim "a protected port raises an acquire" raises_some tcp 10.9.0.2 5000 1
claim "... and another after its larval state was cleared" raises_some tcp 10.9.0.2 5000 1
claim "... over IPv6" raises_some tcp fd09::2 5000 1
claim "nothing of it crosses the wire" wire nothing pings xsA 10.9.0.2
claim "other addresses are reached in clear" pings xsA 10.9.1.3
claim "... over IPv6" pings xsA fd09:1::3
claim "a clear packet for an ipsec rule is dropped" not pings xsB 10.9.0.1

for mode in transport tunnel; do
	echo "# $mode mode"
	claim "SAs go in" A "$lab" sas $mode 10.9.0.1 10.9.0.2 0x1001 0x1002
	claim "SAs go in at the other end" B "$lab" sas $mode 10.9.0.2 10.9.0.1 0x1002 0x1001
	claim "SAs go in, IPv6" A "$lab" sas $mode fd09::1 fd09::2 0x2001 0x2002
	claim "SAs go in at the other end, IPv6" B "$lab" sas $mode fd09::2 fd09::1 0x2002 0x2001
	claim "traffic is ESP, out" wire esp pings xsA 10.9.0.2
	claim "traffic is ESP, in" wire esp pings xsB 10.9.0.1
	claim "it arrives, out" pings xsA 10.9.0.2
	claim "it arrives, in" pings xsB 10.9.0.1
	claim "... over IPv6, out" pings xsA fd09::2
	claim "... over IPv6, in" pings xsB fd09::1
	claim "IPv6 is ESP" wire esp pings xsA fd09::2
	claim "a permitted port before the ipsec rule is still clear" \
		wire clear tcp 10.9.0.2 80 10000
	claim "a denied port is still closed" not tcp 10.9.0.2 23 1
	claim "large packets pass" A ping -c2 -W1 -s 3000 -q 10.9.0.2
	claim "large packets pass over IPv6" A ping -c2 -W1 -s 3000 -q fd09::2
	claim "a large transfer by TCP" tcp 10.9.0.2 5000 2000000
	claim "a large transfer by TCP over IPv6" tcp fd09::2 5000 2000000

	echo "# somebody flushes nftables"
	block=$(stat xsA XfrmInPolBlock)
	A nft flush ruleset
	claim "it is noticed" not A "$lab" installed "${all_a[@]}"
	claim "protected traffic stops, out" wire nothing pings xsA 10.9.0.2
	claim "protected traffic stops, in" not pings xsB 10.9.0.1
	claim "... refused by the closed policy" test "$(stat xsA XfrmInPolBlock)" -gt "$block"
	claim "... over IPv6, out" wire nothing pings xsA fd09::2
	claim "... over IPv6, in" not pings xsB fd09::1
	claim "TCP stops, too" not tcp 10.9.0.2 5000 1
	claim "other traffic goes on" pings xsA 10.9.1.3
	claim "other traffic goes on over IPv6" pings xsA fd09:1::3
	claim "loopback goes on" pings xsA 10.9.0.1
	claim "loopback goes on over IPv6" pings xsA fd09::1
	claim "installing again repairs it" A "$lab" install "${all_a[@]}"
	claim "traffic flows again" pings xsA 10.9.0.2
	claim "traffic flows again over IPv6" pings xsA fd09::2

	echo "# somebody flushes the policies"
	ip -n xsA xfrm policy flush
	claim "it is noticed" not A "$lab" installed "${all_a[@]}"
	claim "nothing goes in clear" wire nothing pings xsA 10.9.0.2
	claim "installing again repairs it" A "$lab" install "${all_a[@]}"
	A "$lab" nosas $mode 10.9.0.1 10.9.0.2 0x1001 0x1002 >/dev/null 2>&1
	A "$lab" nosas $mode fd09::1 fd09::2 0x2001 0x2002 >/dev/null 2>&1
	ip -n xsA xfrm state deleteall reqid 4194305
	ip -n xsB xfrm state deleteall reqid 4194305
	B "$lab" nosas $mode 10.9.0.2 10.9.0.1 0x1002 0x1001 >/dev/null 2>&1
	B "$lab" nosas $mode fd09::2 fd09::1 0x2002 0x2001 >/dev/null 2>&1
	B "$lab" install "${all_b[@]}"
done

echo "# a gateway"
claim "a routed policy goes in" A "$lab" install routed 10.9.1.0/24 10.9.0.2 fd09:1::/64 fd09::2
claim "... and its host-to-host twin at the other end" \
	B "$lab" install 10.9.0.2 10.9.1.0/24 fd09::2 fd09:1::/64
A sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
ip -n xsC route replace 10.9.0.0/24 via 10.9.0.1 dev vc onlink
ip -n xsB route add 10.9.1.0/24 via 10.9.0.1
ip -n xsB -6 route add fd09:1::/64 via fd09::1
forwarded_acquire() { raises_some C ping -c1 -W1 "$1"; }
claim "a forwarded packet raises an acquire" forwarded_acquire 10.9.0.2
claim "... over IPv6" forwarded_acquire fd09::2
gateway_sas() { # namespace local remote out in data...
	ip netns exec "$1" "$lab" sas tunnel "${@:2}"
}
claim "SAs go in" gateway_sas xsA 10.9.0.1 10.9.0.2 0x1001 0x1002 10.9.1.0/24 10.9.0.2
claim "SAs go in at the other end" \
	gateway_sas xsB 10.9.0.2 10.9.0.1 0x1002 0x1001 10.9.0.2 10.9.1.0/24
claim "SAs go in, IPv6" gateway_sas xsA fd09::1 fd09::2 0x2001 0x2002 fd09:1::/64 fd09::2
claim "SAs go in at the other end, IPv6" \
	gateway_sas xsB fd09::2 fd09::1 0x2002 0x2001 fd09::2 fd09:1::/64
claim "forwarded traffic is ESP" wire esp pings xsC 10.9.0.2
claim "it arrives" pings xsC 10.9.0.2
claim "... and from the far end" pings xsB 10.9.1.3
claim "... over IPv6" pings xsC fd09::2
claim "... over IPv6 from the far end" pings xsB fd09:1::3
A nft flush ruleset
claim "the table flushed: forwarded traffic stops" wire nothing pings xsC 10.9.0.2
claim "... over IPv6" wire nothing pings xsC fd09::2
link=vac
claim "... and nothing comes out behind the gateway" wire nothing pings xsB 10.9.1.3
unset link
ip -n xsA xfrm state deleteall reqid 4194305
A "$lab" nosas tunnel 10.9.0.1 10.9.0.2 0x1001 0x1002 10.9.1.0/24 10.9.0.2 >/dev/null 2>&1
A "$lab" nosas tunnel fd09::1 fd09::2 0x2001 0x2002 fd09:1::/64 fd09::2 >/dev/null 2>&1
A "$lab" install "${all_a[@]}"

echo "# the end"
claim "the number of policies is what it was" \
	test "$(ip -n xsA xfrm policy | grep -vc socket)" -eq "$spd"
claim "the policy goes out" A "$lab" uninstall
claim "no policy is left" test -z "$(ip -n xsA xfrm policy)"
claim "no SA is left" test -z "$(ip -n xsA xfrm state)"
claim "no table is left" test -z "$(A nft list ruleset)"
claim "going out twice is no error" A "$lab" uninstall
echo "$failures failed"
exit "$failures"
