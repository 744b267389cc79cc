using Microsoft.Win32.SafeHandles;
using Uml.Storage.Interop;

namespace Uml.Storage.Files;

/// <summary>The descriptor of an open file. Its lock ends with it, also while a process that is being started has a copy of it.</summary>
// SAFETY: the range is a local with the layout of struct flock, and the descriptor is this handle's until it is closed here, which happens once.
internal sealed unsafe class HostFileHandle : SafeHandleMinusOneIsInvalid
{
    public HostFileHandle(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    protected override bool ReleaseHandle()
    {
        // Between fork and exec a child has all descriptors, and a lock of the open file would be its too. Where there is no lock, this does nothing.
        FileLockRange range = new() { Type = Fcntl.NoLock };
        _ = Fcntl.Lock((int)handle, Fcntl.SetDescriptionLock, &range);
        return Unistd.Close((int)handle) == 0;
    }
}
