// Boots Linux to a shell, or runs one command in it, inside this process. Standard output carries the guest's bytes and nothing else.
using BootLinux;

return await CommandLine.Create().Parse(args).InvokeAsync();
