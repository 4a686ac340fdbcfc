// The program, under its three names: `kvstore`, `kvstore-cli` and `kv_store`.
#pragma once

namespace kvstore::cli {

// Returns: the exit code (exit_code.h).
int run_main(int argc, char** argv);

}  // namespace kvstore::cli
