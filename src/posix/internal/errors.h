// errno as Status.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace kvstore::posix {

// "No space left on device". Safe on any thread.
[[nodiscard]] std::string error_text(int error);

// The Status of a failed file call. `what` names the operation and the path.
// Returns: kDiskFull, kNotFound, kAlreadyExists, kPermissionDenied, kInvalidArgument (a name no
// file
//          system takes), else kIoError.
[[nodiscard]] Status file_error(int error, std::string_view what, Effect effect = Effect::kNone);

}  // namespace kvstore::posix
