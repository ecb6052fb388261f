# Makes a fresh network namespace usable and runs a command in it, as the first process's child.
#   network.sh ADDRESS COMMAND...
set -eu
address=$1
shift
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
ip link set lo up
ip address add "$address/16" dev lo
# A Service's address needs a route before it can be translated.
ip route add default dev lo src "$address"
names=$(readlink -f /etc/resolv.conf)
mount -t tmpfs -o mode=755 tmpfs /run
printf 'nameserver %s\nsearch svc.cluster.local cluster.local\noptions ndots:5 attempts:1 timeout:2\n' "$address" >/run/resolv.conf
# Where the file is a link into /run, its place has just been hidden.
mkdir -p "$(dirname "$names")"
[ -e "$names" ] || : >"$names"
mount --bind /run/resolv.conf "$names"
set +e
"$@"
# The command must stay a child: the first process ignores signals that it does not handle.
exit $?
