#include "route/interference.h"
