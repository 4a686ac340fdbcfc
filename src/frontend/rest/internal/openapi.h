// api/openapi.yaml, as the program carries it. Made at build time (CMakeLists.txt).
#pragma once

#include <string_view>

namespace kvstore::rest {

[[nodiscard]] std::string_view openapi_text();

}  // namespace kvstore::rest
