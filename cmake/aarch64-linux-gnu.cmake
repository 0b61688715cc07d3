# Debian's cross compiler for 64-bit Arm; programs run under qemu-user, as on a CPU whose
# SVE has vectors of 256 bits. Libraries come from packages of that architecture, what is only
# headers or runs while building from the host.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu max,sve-max-vq=2 -L /usr/aarch64-linux-gnu)
