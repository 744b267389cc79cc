using System.Runtime.InteropServices;
using Uml.Core.Interop;

namespace Uml.Core.Tests.Interop;

/// <summary>A resource of this process that is limited until it is disposed (setrlimit(2)).</summary>
internal sealed unsafe partial class HostLimit : IDisposable
{
    private readonly int _resource;
    private readonly ResourceLimit _before;

    public HostLimit(int resource, ulong value)
    {
        ResourceLimit limit;
        Assert.That(Libc.GetLimit(resource, &limit), Is.Zero);
        (_resource, _before) = (resource, limit);
        Set(limit with { Soft = value });
    }

    public void Dispose() => Set(_before);

    private void Set(ResourceLimit limit) => Assert.That(SetLimit(_resource, &limit), Is.Zero);

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int SetLimit(int resource, ResourceLimit* limit);
}
