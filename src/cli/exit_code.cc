#include "cli/exit_code.h"

namespace kvstore::cli {

ExitCode client_exit_code(const Status& status) {
    switch (status.code()) {
        case Code::kOk: return ExitCode::kOk;
        case Code::kUnavailable:
        case Code::kDeadlineExceeded:
        case Code::kNotLeader:
        case Code::kOverloaded: return ExitCode::kUnavailable;
        case Code::kUnauthenticated:
        case Code::kPermissionDenied: return ExitCode::kDenied;
        case Code::kConflict: return ExitCode::kConflict;
        case Code::kCorruption: return ExitCode::kCorruption;
        default: return ExitCode::kError;
    }
}

ExitCode server_exit_code(const Status& status) {
    switch (status.code()) {
        case Code::kOk: return ExitCode::kOk;
        case Code::kDiskFull: return ExitCode::kDiskFull;
        case Code::kCorruption: return ExitCode::kCorruption;
        default: return ExitCode::kError;
    }
}

}  // namespace kvstore::cli
