# fault.sh bad|mce FILE OFFSET PMEM, fault.sh unbind PMEM, fault.sh return PMEM: one fault, by the kernel's own means.
namespace() { basename "$(readlink -f /sys/block/$1/device)"; }
# The sector of the disk under a byte of a file, which lies on the whole disk.
sector() {
  xfs_io -r -c "fiemap -v" "$1" | tr -d '[]:' | sed 's/\.\./ /g' |
    awk -v b=$(($2 / 512)) '$1 ~ /^[0-9]+$/ && b >= $2 && b <= $3 {print $4 + b - $2}'
}
case $1 in
  bad)
    echo "$(sector $2 $3) 8" >/sys/block/$4/badblocks
    echo "bad blocks of $4: $(tr '\n' ';' </sys/block/$4/badblocks)"
    ;;
  mce)
    at=$(($(cat /sys/bus/nd/devices/$(namespace $4)/resource) + $(sector $2 $3) * 512))
    printf 'WANT-MCE 9 0xbd000000000000c0 0x5 0x%x 0x8c\n' $at
    ;;
  unbind)
    namespace $2 >/run/namespace
    echo $(cat /run/namespace) >/sys/bus/nd/drivers/nd_pmem/unbind
    echo "unbound: $(cat /run/namespace)"
    ;;
  return)
    # What was mounted stays mounted: to unmount a file system whose device was pulled out under load brings the kernel
    # down (dax_disassociate_entry, 6.1 and 6.12), and its name is taken as long. So the device gets another name.
    echo $(cat /run/namespace) >/sys/bus/nd/drivers/nd_pmem/bind
    for _ in $(seq 1 50); do [ -b /dev/$2 ] && break; sleep 0.1; done
    export DM_DISABLE_UDEV=1
    dmsetup create back --table "0 $(cat /sys/block/$2/size) linear /dev/$2 0"
    mount -t xfs -o dax=always,nouuid /dev/mapper/back /mnt/$2 || mount -t xfs -o dax=always,nouuid /dev/dm-0 /mnt/$2
    grep " /mnt/$2 " /proc/mounts
    ;;
esac
