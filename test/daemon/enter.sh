# enter LOWER LAYER N (STAGED PLACE)xN COMMAND...: in fresh namespaces, mounts LOWER with a throw-away
# layer over it, lays the staged files, and runs COMMAND in it.
set -eu
lower=$1 layer=$2 n=$3
shift 3
mkdir "$layer/upper" "$layer/work" "$layer/root"
root=$layer/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer/upper,workdir=$layer/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do
	: >"$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
mkdir -m 1777 "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
while [ "$n" -gt 0 ]; do
	rm -rf "$root$2"
	mkdir -p "$(dirname "$root$2")"
	cp -a "$1" "$root$2"
	shift 2
	n=$((n - 1))
done
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_nonlocal_bind # servers listen on addresses that only their container has
exec chroot "$root" "$@"
