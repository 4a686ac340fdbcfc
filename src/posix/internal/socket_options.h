// What every stream socket of ours has in common.
#pragma once

namespace kvstore::posix {

// Small answers leave at once, and a peer that vanished is noticed. Set on a listening socket, its
// connections inherit it.
void set_stream_options(int descriptor);

}  // namespace kvstore::posix
