#!/bin/sh
# Lays out what the image holds: rootfs.sh PROGRAM FOLDER. The program under its names, the
# libraries that it needs with their licences, one user without rights, and where data goes.
set -eu
program=$1
root=$2
user=65532

mkdir -p "$root/usr/bin" "$root/etc" "$root/var/lib/kvstore" "$root/tmp" "$root/lib64"
install -m 755 "$program" "$root/usr/bin/kvstore"
strip --strip-debug "$root/usr/bin/kvstore"
ln -sf kvstore "$root/usr/bin/kvstore-cli"

# "name => /path (address)", and the loader, which has its path alone.
ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\// {print $1}' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
    # Debian's packages own what is in /usr/lib now under its older name.
    file=$(readlink -f "$library")
    owner=$(dpkg -S "$file" 2>/dev/null || dpkg -S "${file#/usr}" 2>/dev/null || true)
    package=$(echo "$owner" | head -n 1 | cut -d: -f1)
    if [ -n "$package" ] && [ -e "/usr/share/doc/$package/copyright" ]; then
        mkdir -p "$root/usr/share/doc/$package"
        cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
    fi
done

echo "kvstore:x:$user:$user:kvstore:/var/lib/kvstore:/nonexistent" >"$root/etc/passwd"
echo "kvstore:x:$user:" >"$root/etc/group"
echo "hosts: files dns" >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
chown -R "$user:$user" "$root/var/lib/kvstore"
chmod 750 "$root/var/lib/kvstore"
