#include "route/profile.h"
