#include "posix/internal/errors.h"

#include <cerrno>
#include <system_error>

namespace kvstore::posix {

std::string error_text(int error) {
    return std::generic_category().message(error);
}

Status file_error(int error, std::string_view what, Effect effect) {
    Code code = Code::kIoError;
    switch (error) {
        case ENOSPC:
        case EDQUOT: code = Code::kDiskFull; break;
        case ENOENT: code = Code::kNotFound; break;
        case EEXIST: code = Code::kAlreadyExists; break;
        case EACCES:
        case EPERM:
        case EROFS: code = Code::kPermissionDenied; break;
        case ENAMETOOLONG: code = Code::kInvalidArgument; break;
        default: break;
    }
    return {code, effect, std::string(what) + ": " + error_text(error)};
}

}  // namespace kvstore::posix
