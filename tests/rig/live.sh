#!/bin/bash
# In the machine: camera and bus come and go while tsedge runs. What happened when goes to faults.txt, in
# seconds of the monotonic clock; what tsedge said goes to events.jsonl.
set -u
modprobe vivid node_types=0x1 num_inputs=1 input_types=0
modprobe vcan
add_can() { ip link add can0 type vcan && ip link set can0 up; }
add_can
./tsedge cameras >cameras.txt
cat >live.toml <<'T'
[camera]
device = "/dev/video0"
size_px = [320, 180]
[can]
interface = "can0"
[jsonl]
path = "events.jsonl"
T
(while :; do candump -L can0; sleep 0.02; done) >can.log 2>/dev/null &
ORT_DYLIB_PATH=./libonnxruntime.so ./tsedge run --config live.toml --models models --threads 1 &
pid=$!
happened() { echo "$1 $(cut -d' ' -f1 /proc/uptime)" >>faults.txt; }
vivid=/sys/bus/platform/drivers/vivid
sleep 8
for _ in $(seq "${1:-3}"); do
    happened camera_unplugged; echo vivid.0 >$vivid/unbind; sleep 2
    happened camera_back; echo vivid.0 >$vivid/bind; sleep 4
    happened can_down; ip link set can0 down; sleep 1.5
    happened can_up; ip link set can0 up; sleep 2
    happened can_gone; ip link del can0; sleep 1.5
    happened can_back; add_can; sleep 2
done
happened stop; kill -TERM $pid; wait $pid; echo "exit_code $?" >>faults.txt
