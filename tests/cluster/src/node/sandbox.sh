# Runs a container's command in a mount namespace of its own, as its first process there.
#   sandbox.sh MOUNTS ROOT READONLY WORKDIR COMMAND...
# ROOT is an empty folder over which the container's file system is mounted: the machine's, copied on write.
# MOUNTS has a line for each volume, its parts separated by tabs: how (bind or ro), source, target.
set -eu
mounts=$1 root=$2 readonly=$3 workdir=$4
shift 4
keep=$PATH
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t tmpfs tmpfs "$root"
mkdir "$root/upper" "$root/work" "$root/tree"
tree=$root/tree
mount -t tmpfs -o mode=755 tmpfs "$tree"
copies=
# The root as a whole cannot be copied on write: it has mounts below that a user namespace may not uncover.
for place in /*; do
  name=${place#/}
  if [ -L "$place" ]; then
    cp -P "$place" "$tree/"
  elif [ -d "$place" ]; then
    mkdir "$tree/$name"
    case $name in
    proc | run) ;;
    dev | sys) mount --rbind "$place" "$tree/$name" ;;
    *)
      mkdir "$root/upper/$name" "$root/work/$name"
      chmod --reference "$place" "$root/upper/$name"
      how=lowerdir=$place,upperdir=$root/upper/$name,workdir=$root/work/$name,userxattr
      if mount -t overlay overlay -o "$how" "$tree/$name" 2>/dev/null; then
        copies="$copies $name"
      else
        mount --rbind "$place" "$tree/$name"
        mount -o remount,bind,ro "$tree/$name"
      fi
      ;;
    esac
  fi
done
tab=$(printf '\t')
while IFS=$tab read -r how source target; do
  # Links on the way lead elsewhere in the tree, not out of it.
  target=$(chroot "$tree" readlink -m "$target")
  if [ -d "$source" ]; then
    mkdir -p "$tree$target"
  else
    mkdir -p "$(dirname "$tree$target")"
    [ -e "$tree$target" ] || : >"$tree$target"
  fi
  mount --bind "$source" "$tree$target"
  if [ "$how" = ro ]; then mount -o remount,bind,ro "$tree$target"; fi
done <"$mounts"
mount -t proc proc "$tree/proc"
if [ "$workdir" != / ]; then mkdir -p "$tree$workdir"; fi
if [ "$readonly" = yes ]; then
  for name in $copies; do mount -o remount,bind,ro "$tree/$name"; done
  mount -o remount,bind,ro "$tree"
fi
exec chroot "$tree" /usr/bin/env -C "$workdir" PATH="$keep" "$@"
