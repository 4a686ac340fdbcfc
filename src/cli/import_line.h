// One line of an import: {"key", "value"}, each also as _base64, and ttl_seconds.
#pragma once

#include <string_view>

#include <boost/json/object.hpp>

#include "base/status.h"

namespace kvstore::cli {

// Returns: the item as POST /v1/batch/put takes it, without members that mean nothing there.
// Errors:  kInvalidArgument: what is wrong with the line.
Result<boost::json::object> parse_import_line(std::string_view line);

}  // namespace kvstore::cli
