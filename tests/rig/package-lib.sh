# In the machine: a camera, a bus and the packages; for the scripts beside this to source.
modprobe vivid node_types=0x1 num_inputs=1 input_types=0
modprobe vcan; ip link add can0 type vcan; ip link set can0 up
fact() { echo "$*" >>facts.txt; }
main_pid() { systemctl show -P MainPID tsedge; }
up() { for _ in $(seq 400); do [ "$(systemctl is-active tsedge)" = active ] && return; sleep 0.1; done; }
install_packages() {
    dpkg -i "$@" >>dpkg.txt 2>&1 || fact dpkg_failed "$*"
    udevadm settle
    # The emulated camera is small.
    sed -i 's/^size_px.*/size_px = [320, 180]/' /etc/tsedge/tsedge.toml
}
# The machine is emulated: all takes ten to thirty times longer.
mkdir -p /etc/systemd/system/tsedge.service.d
printf '[Service]\nWatchdogSec=20\nTimeoutStartSec=120\nTimeoutStopSec=20\n' >/etc/systemd/system/tsedge.service.d/emulated.conf
