# Runs a container's command in a mount namespace of its own, as its first process there.
#   sandbox.sh PLAN ROOT READONLY WORKDIR COMMAND...
# ROOT is an empty folder over which the container's file system is mounted: the machine's, copied on write.
# PLAN has a line for each mount, its parts separated by tabs: how (bind, ro or rbind), source, target.
set -eu
plan=$1 root=$2 readonly=$3 workdir=$4
shift 4
keep=$PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/tree"
tree=$root/tree
mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$tree"
tab=$(printf '\t')
while IFS=$tab read -r how source target; do
  if [ -d "$source" ]; then
    mkdir -p "$tree$target"
  else
    mkdir -p "$(dirname "$tree$target")"
    [ -e "$tree$target" ] || : >"$tree$target"
  fi
  case $how in
  rbind) mount --rbind "$source" "$tree$target" ;;
  *) mount --bind "$source" "$tree$target" ;;
  esac
  if [ "$how" = ro ]; then mount -o remount,bind,ro "$tree$target"; fi
done <"$plan"
mount -t proc proc "$tree/proc" 2>/dev/null || mount --rbind /proc "$tree/proc"
if [ "$workdir" != / ]; then mkdir -p "$tree$workdir"; fi
if [ "$readonly" = yes ]; then mount -o remount,bind,ro "$tree"; fi
exec chroot "$tree" /usr/bin/env -C "$workdir" PATH="$keep" "$@"
