using Uml.Storage.Blocks;

namespace Uml.Storage.Decorators;

/// <summary>
/// One open image that many machines of a process read at once: each has a lease, a device that can only be read. The image is closed when
/// this and all leases are disposed.
/// </summary>
public sealed class SharedBlockDevice : IAsyncDisposable
{
    private readonly IBlockDevice _device;
    private int _holders = 1;
    private int _isDisposed;

    /// <summary>Shares a device, which is closed by the last holder.</summary>
    /// <param name="device">The device.</param>
    public SharedBlockDevice(IBlockDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
    }

    /// <summary>Leases that are out.</summary>
    public int Leases => Math.Max(0, Volatile.Read(ref _holders) - 1 + Volatile.Read(ref _isDisposed));

    /// <summary>Makes a lease.</summary>
    /// <returns>A device that can only be read, and whose disposal gives it back.</returns>
    /// <exception cref="ObjectDisposedException">This was disposed.</exception>
    public IBlockDevice Lease()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _isDisposed) != 0, this);
        int holders;
        do
        {
            holders = Volatile.Read(ref _holders);
            ObjectDisposedException.ThrowIf(holders == 0, this);
        }
        while (Interlocked.CompareExchange(ref _holders, holders + 1, holders) != holders);
        return new LeasedDevice(this);
    }

    /// <summary>Makes no more leases. The image is closed with the last one.</summary>
    public ValueTask DisposeAsync() => Interlocked.Exchange(ref _isDisposed, 1) == 0 ? ReturnAsync() : ValueTask.CompletedTask;

    private ValueTask ReturnAsync() => Interlocked.Decrement(ref _holders) == 0 ? _device.DisposeAsync() : ValueTask.CompletedTask;

    private sealed class LeasedDevice(SharedBlockDevice owner) : BlockDeviceDecorator(owner._device, leavesOpen: true)
    {
        private int _isReturned;

        public override bool IsReadOnly => true;

        /// <summary>Only what does not change the device.</summary>
        public override T? GetCapability<T>()
            where T : class => IsOfRequests(typeof(T)) ? null
                : typeof(T) == typeof(IExtentMap) || typeof(T) == typeof(INonBlocking) ? base.GetCapability<T>() : this as T;

        public override async ValueTask DisposeAsync()
        {
            await base.DisposeAsync().ConfigureAwait(false);
            if (Interlocked.Exchange(ref _isReturned, 1) == 0)
            {
                await owner.ReturnAsync().ConfigureAwait(false);
            }
        }

        protected override ValueTask SendAsync(BlockRequest request, CancellationToken cancellationToken)
        {
            if (Volatile.Read(ref _isReturned) != 0)
            {
                throw new BlockIOException($"{request.Kind} of {request.Length} bytes at {request.Offset}: the lease was given back.", BlockError.Gone);
            }

            return request.Kind switch
            {
                BlockRequestKind.Read => base.SendAsync(request, cancellationToken),
                BlockRequestKind.Flush => ValueTask.CompletedTask,
                _ => throw new BlockIOException($"{request.Kind} of {request.Length} bytes at {request.Offset}: a shared device is read only.", BlockError.ReadOnly),
            };
        }
    }
}
